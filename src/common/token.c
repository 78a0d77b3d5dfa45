/* Access tokens: JWTs of type at+jwt, signed with HMAC-SHA256.
 *
 * Signed and checked with OpenSSL: libjwt 1.10 (Debian 12) neither writes nor accepts a typ other than JWT.
 */
#include "common/token.h"
#include "common/base64.h"
#include "common/id.h"
#include "common/json.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9" /* {"alg":"HS256","typ":"at+jwt"} */
#define SIGNATURE_SIZE BASE64URL_SIZE(SHA256_SIZE)

struct token_keys {
    char *secret;
    char *issuer, *audience;
    int64_t lifetime_s;
};

struct token_keys *token_keys_new(const struct token_options *options) {
    if (strlen(options->secret) < TOKEN_MIN_SECRET)
        return NULL;
    struct token_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return NULL;
    keys->secret = strdup(options->secret);
    keys->issuer = strdup(options->issuer);
    keys->audience = strdup(options->audience);
    keys->lifetime_s = options->lifetime_s;
    if (keys->secret && keys->issuer && keys->audience)
        return keys;
    token_keys_free(keys);
    return NULL;
}

void token_keys_free(struct token_keys *keys) {
    if (!keys)
        return;
    if (keys->secret)
        OPENSSL_cleanse(keys->secret, strlen(keys->secret));
    free(keys->secret);
    free(keys->issuer);
    free(keys->audience);
    free(keys);
}

int64_t token_lifetime_s(const struct token_keys *keys) {
    return keys->lifetime_s;
}

const char *token_issuer(const struct token_keys *keys) {
    return keys->issuer;
}

const char *token_audience(const struct token_keys *keys) {
    return keys->audience;
}

/* The signature of text as a token carries it; false when out of memory. */
static bool sign(const struct token_keys *keys, const char *text, size_t len,
                 char signature[static SIGNATURE_SIZE]) {
    uint8_t mac[SHA256_SIZE];
    if (!HMAC(EVP_sha256(), keys->secret, (int)strlen(keys->secret), (const unsigned char *)text, len, mac,
              NULL))
        return false;
    base64url_encode(mac, sizeof mac, signature);
    return true;
}

static bool copy_string(char *out, size_t size, const char *text) {
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

static char *claims_to_json(const struct token_keys *keys, const struct token_claims *claims) {
    json_t *payload =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "iss", keys->issuer, "aud", keys->audience,
                  "sub", claims->client_id, "client_id", claims->client_id, "scope", claims->scope, "jti",
                  claims->id, "iat", (json_int_t)claims->issued_at, "exp", (json_int_t)claims->expires_at);
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    json_decref(payload);
    return text;
}

/* header.payload.signature; NULL when out of memory or too long. */
static char *encode(const struct token_keys *keys, const char *payload) {
    size_t payload_len = strlen(payload);
    size_t size = sizeof HEADER + BASE64URL_SIZE(payload_len) + SIGNATURE_SIZE;
    char *token = size <= TOKEN_MAX_SIZE ? malloc(size) : NULL;
    if (!token)
        return NULL;
    size_t len = sizeof HEADER;
    memcpy(token, HEADER ".", len);
    len += base64url_encode(payload, payload_len, token + len);
    if (!sign(keys, token, len, token + len + 1)) {
        free(token);
        return NULL;
    }
    token[len] = '.';
    return token;
}

char *token_issue(const struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                  struct token_claims *claims) {
    struct token_claims new = {.issued_at = now_s, .expires_at = now_s + keys->lifetime_s};
    if (!copy_string(new.client_id, sizeof new.client_id, client_id) ||
        !copy_string(new.scope, sizeof new.scope, scope))
        return NULL;
    struct uuid id = uuid_new();
    uuid_format(&id, new.id);

    char *payload = claims_to_json(keys, &new);
    char *token = payload ? encode(keys, payload) : NULL;
    free(payload);
    if (token)
        *claims = new;
    return token;
}

/* The JSON object in a part of a token, or NULL. */
static json_t *parse_part(const char *part, const char *end) {
    uint8_t text[TOKEN_MAX_SIZE];
    size_t len;
    if (!base64url_decode(part, (size_t)(end - part), text, &len))
        return NULL;
    char error[JSON_ERROR_SIZE];
    return json_parse_object((const char *)text, len, error);
}

static bool member_is(const json_t *object, const char *name, const char *expected) {
    const char *text = json_member_string(object, name);
    return text && strcmp(text, expected) == 0;
}

/* A header that names another key, algorithm or type is no command to us: it is refused, or, as kid and jku,
 * not read. One with crit asks for what we do not know (RFC 7515 §4.1.11). */
static bool header_ok(const json_t *header) {
    return member_is(header, "alg", "HS256") && member_is(header, "typ", "at+jwt") &&
           !json_object_get(header, "crit");
}

/* aud is one string or an array of them (RFC 7519 §4.1.3). */
static bool is_audience(const json_t *aud, const char *audience) {
    const char *text = json_string_value(aud);
    if (text)
        return strcmp(text, audience) == 0;
    size_t i;
    json_t *element;
    json_array_foreach(aud, i, element) {
        if (json_is_string(element) && strcmp(json_string_value(element), audience) == 0)
            return true;
    }
    return false;
}

static bool read_string(const json_t *payload, const char *name, char *out, size_t size) {
    const char *text = json_member_string(payload, name);
    return text && copy_string(out, size, text);
}

static bool read_time(const json_t *payload, const char *name, int64_t *out) {
    const json_t *time = json_object_get(payload, name);
    *out = json_integer_value(time);
    return json_is_integer(time);
}

static enum token_status read_claims(const struct token_keys *keys, const json_t *payload, int64_t now_s,
                                     struct token_claims *claims) {
    struct token_claims found;
    int64_t not_before;
    if (!member_is(payload, "iss", keys->issuer) ||
        !is_audience(json_object_get(payload, "aud"), keys->audience) ||
        !read_string(payload, "client_id", found.client_id, sizeof found.client_id) ||
        !member_is(payload, "sub", found.client_id) ||
        !read_string(payload, "scope", found.scope, sizeof found.scope) ||
        !read_string(payload, "jti", found.id, sizeof found.id) ||
        !read_time(payload, "iat", &found.issued_at) || !read_time(payload, "exp", &found.expires_at))
        return TOKEN_INVALID;
    if (json_object_get(payload, "nbf") && (!read_time(payload, "nbf", &not_before) || now_s < not_before))
        return TOKEN_INVALID;
    if (now_s >= found.expires_at)
        return TOKEN_EXPIRED;
    *claims = found;
    return TOKEN_OK;
}

enum token_status token_verify(const struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *claims) {
    size_t len = strnlen(token, TOKEN_MAX_SIZE + 1);
    const char *first = strchr(token, '.');
    const char *last = strrchr(token, '.');
    if (len > TOKEN_MAX_SIZE || !first || first == last || strlen(last + 1) != SIGNATURE_SIZE - 1)
        return TOKEN_INVALID;

    char signature[SIGNATURE_SIZE];
    if (!sign(keys, token, (size_t)(last - token), signature))
        return TOKEN_NO_MEMORY;
    if (CRYPTO_memcmp(signature, last + 1, SIGNATURE_SIZE - 1) != 0)
        return TOKEN_INVALID;

    json_t *header = parse_part(token, first);
    json_t *payload = parse_part(first + 1, last);
    enum token_status status = TOKEN_INVALID;
    if (header && payload && header_ok(header))
        status = read_claims(keys, payload, now_s, claims);
    json_decref(header);
    json_decref(payload);
    return status;
}

bool token_has_scope(const char *list, const char *scope) {
    size_t wanted = strlen(scope);
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (len == wanted && len > 0 && memcmp(at, scope, len) == 0)
            return true;
        at += len;
    }
    return false;
}
