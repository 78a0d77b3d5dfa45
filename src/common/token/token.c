/* Access tokens: JWTs of type at+jwt, encoded and decoded. */
#include "common/base/json.h"
#include "private.h"

#include <stdlib.h>
#include <string.h>

static bool copy_string(char *out, size_t size, const char *text) {
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

static char *claims_to_json(const struct token_keys *keys, const struct token_claims *claims) {
    char id[UUID_TEXT_SIZE];
    uuid_format(&claims->id, id);
    json_t *payload =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "iss", keys->issuer, "aud", keys->audience,
                  "sub", claims->client_id, "client_id", claims->client_id, "scope", claims->scope, "jti", id,
                  "iat", (json_int_t)claims->issued_at, "exp", (json_int_t)claims->expires_at);
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    json_decref(payload);
    return text;
}

/* header.payload.signature; NULL when out of memory or too long. */
static char *encode(const struct token_key *key, const char *payload) {
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t len = strlen(key->header), payload_len = strlen(payload);
    size_t size = len + 1 + BASE64URL_SIZE(payload_len) + BASE64URL_SIZE(sizeof signature);
    char *token = size <= TOKEN_MAX_SIZE ? malloc(size) : NULL;
    if (!token)
        return NULL;
    memcpy(token, key->header, len);
    token[len++] = '.';
    len += base64url_encode(payload, payload_len, token + len);
    size_t signature_len = token_key_sign(key, token, len, signature);
    if (!signature_len) {
        free(token);
        return NULL;
    }
    token[len] = '.';
    base64url_encode(signature, signature_len, token + len + 1);
    return token;
}

char *token_issue(struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                  struct token_claims *claims) {
    struct token_claims new = {.id = uuid_new(),
                               .issued_at = now_s,
                               .not_before = INT64_MIN,
                               .expires_at = now_s + keys->lifetime_s};
    if (!copy_string(new.client_id, sizeof new.client_id, client_id) ||
        !copy_string(new.scope, sizeof new.scope, scope))
        return NULL;

    char *payload = claims_to_json(keys, &new);
    struct token_set *set = token_keys_hold(keys);
    char *token = payload && set->signing ? encode(set->signing, payload) : NULL;
    token_keys_release(keys, set);
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

/* The key that the header names, NULL for none of ours. The algorithm is the key's: a header that says
 * another is refused, as is one that asks for what we do not know (crit, RFC 7515 §4.1.11). A secret has no
 * name: there a kid is not read, no more than a jku or jwk is anywhere. */
static const struct token_key *find_key(const struct token_set *set, const json_t *header) {
    if (!member_is(header, "typ", "at+jwt") || json_object_get(header, "crit"))
        return NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct token_key *key = &set->keys[i];
        if (!*key->kid || member_is(header, "kid", key->kid))
            return member_is(header, "alg", token_key_algorithm(key)) ? key : NULL;
    }
    return NULL;
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

static bool read_id(const json_t *payload, struct uuid *out) {
    const char *text = json_member_string(payload, "jti");
    return text && uuid_parse(text, out);
}

static bool read_claims(const struct token_keys *keys, const json_t *payload, struct token_claims *out) {
    out->not_before = INT64_MIN;
    return member_is(payload, "iss", keys->issuer) &&
           is_audience(json_object_get(payload, "aud"), keys->audience) &&
           read_string(payload, "client_id", out->client_id, sizeof out->client_id) &&
           member_is(payload, "sub", out->client_id) &&
           read_string(payload, "scope", out->scope, sizeof out->scope) && read_id(payload, &out->id) &&
           read_time(payload, "iat", &out->issued_at) && read_time(payload, "exp", &out->expires_at) &&
           (!json_object_get(payload, "nbf") || read_time(payload, "nbf", &out->not_before));
}

/* The signature over what stands before the last dot. */
static enum token_status check_signature(const struct token_set *set, const char *token, const char *first,
                                         const char *last) {
    uint8_t signature[TOKEN_MAX_SIZE];
    size_t len;
    if (!base64url_decode(last + 1, strlen(last + 1), signature, &len))
        return TOKEN_INVALID;
    json_t *header = parse_part(token, first);
    const struct token_key *key = find_key(set, header);
    enum token_status status =
        key ? token_key_verify(key, token, (size_t)(last - token), signature, len) : TOKEN_INVALID;
    json_decref(header);
    return status;
}

/* All but the times. */
static enum token_status decode(const struct token_keys *keys, const struct token_set *set, const char *token,
                                struct token_claims *claims) {
    const char *first = strchr(token, '.');
    const char *last = strrchr(token, '.');
    if (!first || first == last)
        return TOKEN_INVALID;
    enum token_status status = check_signature(set, token, first, last);
    if (status != TOKEN_OK)
        return status;
    json_t *payload = parse_part(first + 1, last);
    bool good = payload && read_claims(keys, payload, claims);
    json_decref(payload);
    return good ? TOKEN_OK : TOKEN_INVALID;
}

enum token_status token_verify(struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *claims) {
    struct token_claims found;
    uint8_t digest[SHA256_SIZE];
    size_t len = strnlen(token, TOKEN_MAX_SIZE + 1);
    if (len > TOKEN_MAX_SIZE)
        return TOKEN_INVALID;
    sha256(token, len, digest);
    struct token_set *set = token_keys_hold(keys);
    enum token_status status = TOKEN_OK;
    if (!token_cache_find(set->cache, digest, &found)) {
        status = decode(keys, set, token, &found);
        if (status == TOKEN_OK)
            token_cache_put(set->cache, digest, &found);
    }
    token_keys_release(keys, set);
    if (status != TOKEN_OK)
        return status;
    if (now_s < found.not_before)
        return TOKEN_INVALID;
    if (now_s >= found.expires_at)
        return TOKEN_EXPIRED;
    *claims = found;
    return TOKEN_OK;
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
