/* Access tokens: what is issued, and the rules by which one is accepted (RFC 8725, RFC 9068). */
#include "common/base/json.h"
#include "private.h"

#include "common/metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

static bool token_copy_string(char *out, size_t size, const char *text) {
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

enum {
    JTI_BEFORE_MS = 1000, /* how far the time of a jti may be from iat */
    JTI_AFTER_MS = 60000,
};

int64_t token_issued_ms(const struct token_claims *claims) {
    int64_t iat = claims->issued_at;
    if (iat < 0 || iat > INT64_MAX / 1000 - JTI_AFTER_MS)
        return 0; /* not one of ours: issued before anything */
    int64_t ms = uuid_time_ms(&claims->id);
    bool near = ms >= iat * 1000 - JTI_BEFORE_MS && ms <= iat * 1000 + JTI_AFTER_MS;
    return uuid_has_time(&claims->id) && near ? ms : iat * 1000;
}

char *token_issue(struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                  struct token_claims *claims) {
    return token_issue_from(keys, client_id, scope, now_s, 0, claims);
}

char *token_issue_from(struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                       int64_t from_ms, struct token_claims *claims) {
    struct token_claims new = {.id = uuid_new_from(from_ms),
                               .issued_at = now_s,
                               .not_before = INT64_MIN,
                               .expires_at = now_s + keys->lifetime_s};
    if (!token_copy_string(new.client_id, sizeof new.client_id, client_id) ||
        !token_copy_string(new.scope, sizeof new.scope, scope))
        return NULL;

    struct token_set *set = token_keys_hold(keys);
    char *token = set->signing ? token_jwt_encode(set->signing, keys, &new) : NULL;
    token_keys_release(keys, set);
    if (token)
        *claims = new;
    return token;
}

/* The JSON object in a part of a token, or NULL. */
static json_t *token_parse_part(const char *part, const char *end) {
    uint8_t text[TOKEN_MAX_SIZE];
    size_t len;
    if (!base64url_decode(part, (size_t)(end - part), text, &len))
        return NULL;
    char error[JSON_ERROR_SIZE];
    return json_parse_object((const char *)text, len, error);
}

static bool token_member_is(const json_t *object, const char *name, const char *expected) {
    const char *text = json_member_string(object, name);
    return text && strcmp(text, expected) == 0;
}

/* The key that the header names, NULL for none of ours. The algorithm is the key's: a header that says
 * another is refused, as is one that asks for what we do not know (crit, RFC 7515 §4.1.11). A secret has no
 * name: there a kid is not read, no more than a jku or jwk is anywhere. */
static const struct token_key *token_find_key(const struct token_set *set, const json_t *header) {
    if (!token_member_is(header, "typ", "at+jwt") || json_object_get(header, "crit"))
        return NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct token_key *key = &set->keys[i];
        if (!*key->kid || token_member_is(header, "kid", key->kid))
            return token_member_is(header, "alg", token_key_algorithm(key)) ? key : NULL;
    }
    return NULL;
}

/* aud is one string or an array of them (RFC 7519 §4.1.3). */
static bool token_is_audience(const json_t *aud, const char *audience) {
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

static bool token_read_string(const json_t *payload, const char *name, char *out, size_t size) {
    const char *text = json_member_string(payload, name);
    return text && token_copy_string(out, size, text);
}

static bool token_read_time(const json_t *payload, const char *name, int64_t *out) {
    const json_t *time = json_object_get(payload, name);
    *out = json_integer_value(time);
    return json_is_integer(time);
}

static bool token_read_id(const json_t *payload, struct uuid *out) {
    const char *text = json_member_string(payload, "jti");
    return text && uuid_parse(text, out);
}

static bool token_read_claims(const struct token_keys *keys, const json_t *payload,
                              struct token_claims *out) {
    out->not_before = INT64_MIN;
    return token_member_is(payload, "iss", keys->issuer) &&
           token_is_audience(json_object_get(payload, "aud"), keys->audience) &&
           token_read_string(payload, "client_id", out->client_id, sizeof out->client_id) &&
           token_member_is(payload, "sub", out->client_id) &&
           token_read_string(payload, "scope", out->scope, sizeof out->scope) &&
           token_read_id(payload, &out->id) && token_read_time(payload, "iat", &out->issued_at) &&
           token_read_time(payload, "exp", &out->expires_at) &&
           (!json_object_get(payload, "nbf") || token_read_time(payload, "nbf", &out->not_before));
}

/* Whether text can be a signature of the key: libjwt drops the bits that the last character has to spare, and
 * short of memory it may take an empty one. */
static bool token_signature_fits(const struct token_key *key, const char *text) {
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t len;
    return strlen(text) == key->signature_len && base64url_decode(text, key->signature_len, signature, &len);
}

/* All but the times. libjwt sees no token that our own readers refuse. */
static enum token_status token_decode(const struct token_keys *keys, const struct token_set *set,
                                      const char *token, struct token_claims *claims) {
    const char *first = strchr(token, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    if (!second)
        return TOKEN_INVALID;
    json_t *header = token_parse_part(token, first);
    json_t *payload = header ? token_parse_part(first + 1, second) : NULL;
    const struct token_key *key = payload ? token_find_key(set, header) : NULL;
    enum token_status status = TOKEN_INVALID;
    if (key && token_signature_fits(key, second + 1))
        status = token_jwt_verify(key, token);
    if (status == TOKEN_OK && !token_read_claims(keys, payload, claims))
        status = TOKEN_INVALID;
    json_decref(payload);
    json_decref(header);
    return status;
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
    bool known = token_set_recall(set, digest, &found);
    metric_add(known ? keys->known : keys->unknown, 1);
    if (!known) {
        status = token_decode(keys, set, token, &found);
        if (status == TOKEN_OK)
            token_set_remember(set, digest, &found);
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
