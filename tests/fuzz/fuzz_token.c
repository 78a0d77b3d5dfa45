/* Fuzz target: access tokens and client credentials. The input is read in every way a client can send it: as
 * a token, as the header and claims of one that we sign, as an Authorization header, as a form, as JSON, as
 * scopes.
 */
#include "fuzz.h"

#include "common/auth/auth.h"
#include "common/auth/revocations.h"
#include "common/base/json.h"
#include "fakes/fake_http.h"
#include "fakes/foreign_token.h"
#include "order/credentials.h"

#include <openssl/crypto.h>

enum { SIGNABLE = 2500 }; /* bytes of a header with its claims that a token has room for */

static const char *signature_of(const char *token, size_t len, char out[static 64]) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    HMAC(EVP_sha256(), FOREIGN_SECRET, (int)strlen(FOREIGN_SECRET), (const unsigned char *)token, len, mac,
         &mac_len);
    *out = '\0';
    append_base64url(out, mac, mac_len);
    return out;
}

/* Without the secret nobody can make a token. */
static void check_signature(const char *token) {
    char signature[64];
    const char *last = strrchr(token, '.');
    HOLDS(last && same_text(last + 1, signature_of(token, (size_t)(last - token), signature)));
    HOLDS(strlen(token) <= TOKEN_MAX_SIZE);
}

/* No token was revoked. */
enum token_status revocations_check(struct revocations *revocations, const struct token_claims *claims) {
    (void)revocations;
    HOLDS(token_issued_ms(claims) >= 0);
    return TOKEN_OK;
}

static void read_token(struct token_keys *keys, const char *token) {
    struct token_claims claims, untouched;
    memset(&claims, 0x55, sizeof claims);
    untouched = claims;
    enum token_status status = token_verify(keys, token, FOREIGN_NOW, &claims);
    if (status != TOKEN_INVALID)
        check_signature(token);
    HOLDS(status == TOKEN_OK || memcmp(&claims, &untouched, sizeof claims) == 0);
}

static bool names_us(const json_t *aud) {
    size_t i;
    const json_t *one;
    bool found = same_text(json_string_value(aud), "the-api");
    json_array_foreach(aud, i, one) found |= same_text(json_string_value(one), "the-api");
    return found;
}

/* What a token must say to be accepted (RFC 9068 §4). */
static void check_claims(const char *header, const char *payload, const struct token_claims *claims) {
    json_t *h = parsed(header, strlen(header)), *p = parsed(payload, strlen(payload));
    HOLDS(same_text(json_member_string(h, "alg"), "HS256") &&
          same_text(json_member_string(h, "typ"), "at+jwt"));
    HOLDS(!json_object_get(h, "crit"));
    HOLDS(same_text(json_member_string(p, "iss"), "the-issuer") && names_us(json_object_get(p, "aud")));
    HOLDS(same_text(json_member_string(p, "sub"), claims->client_id));
    HOLDS(same_text(json_member_string(p, "client_id"), claims->client_id));
    HOLDS(same_text(json_member_string(p, "scope"), claims->scope));
    HOLDS(json_is_integer(json_object_get(p, "exp")) && claims->expires_at > FOREIGN_NOW);
    HOLDS(json_integer_value(json_object_get(p, "nbf")) <= FOREIGN_NOW);
    json_decref(h);
    json_decref(p);
}

/* The first line is signed as the header, the others as the claims. */
static void read_signed(struct token_keys *keys, const char *text) {
    char *header = strdup(text);
    char *payload = header ? strchr(header, '\n') : NULL;
    if (payload && strlen(text) <= SIGNABLE) {
        struct token_claims claims;
        *payload++ = '\0';
        const char *token = foreign_token(header, payload, EVP_sha256(), FOREIGN_SECRET);
        if (token_verify(keys, token, FOREIGN_NOW, &claims) == TOKEN_OK)
            check_claims(header, payload, &claims);
        read_token(keys, token);
    }
    free(header);
}

static void read_bearer(struct token_keys *keys, const char *header) {
    static const struct http_route route = {.method = "GET", .pattern = "/", .scope = "order:read"};
    struct http_request request = {.route = &route, .request_id = "fuzz"};
    fake_request_header("Authorization", header);
    if (auth_guard(&(struct auth){.keys = keys, .anonymous = true}, &request)) {
        HOLDS(strncasecmp(header, "Bearer ", 7) == 0);
        HOLDS(token_has_scope(request.claims.scope, "order:read"));
    } else {
        HOLDS(request.reply.status == 401 || request.reply.status == 403);
        HOLDS(fake_reply_header(&request, "WWW-Authenticate"));
    }
    fake_end(&request);
}

static void form_encode(struct buf *out, const char *text) {
    for (; *text; text++)
        buf_printf(out, "%%%02X", (unsigned char)*text);
}

/* A pair that was read can be written, and is read as the same pair. */
static void check_basic(const char *id, const char *secret) {
    struct buf pair = {0}, header = {0};
    const char *id_again, *secret_again;
    form_encode(&pair, id);
    buf_char(&pair, ':');
    form_encode(&pair, secret);
    char *encoded = malloc(pair.len * 4 / 3 + 8);
    HOLDS(encoded);
    EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)pair.data, (int)pair.len);
    buf_printf(&header, "Basic %s", encoded);
    char *space = malloc(header.len + 1);
    HOLDS(space && basic_credentials(header.data, space, &id_again, &secret_again));
    HOLDS(same_text(id, id_again) && same_text(secret, secret_again));
    free(space);
    free(encoded);
    buf_free(&header);
    buf_free(&pair);
}

static void read_basic(const char *header) {
    const char *id, *secret;
    char *space = malloc(strlen(header) + 1);
    HOLDS(space);
    if (basic_credentials(header, space, &id, &secret))
        check_basic(id, secret);
    free(space);
}

/* error_description takes these characters only (RFC 6749 §5.2). */
static void check_description(const char *words) {
    for (; *words; words++)
        HOLDS(*words >= ' ' && *words <= '~' && *words != '"' && *words != '\\');
}

static void read_params(const char *type, const uint8_t *data, size_t size) {
    struct buf body = {0};
    struct oauth_params params = {0};
    buf_append(&body, data, size);
    const char *fault = oauth_params_read(type, &body, &params);
    const char *const values[] = {params.grant_type, params.scope, params.client_id, params.client_secret,
                                  params.token};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        HOLDS(!values[i] || (*values[i] && strlen(values[i]) <= size));
    if (fault)
        check_description(fault);
    oauth_params_free(&params);
    buf_free(&body);
}

static void read_scopes(const char *text) {
    char scope[TOKEN_SCOPE_SIZE], again[TOKEN_SCOPE_SIZE];
    if (!scope_narrow(SCOPES_KNOWN, text, scope))
        return;
    HOLDS(*scope && scope_narrow(text, scope, again) && same_text(scope, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct token_keys *keys = token_keys_new(&foreign_options);
    char *text = text_of(data, size);
    read_token(keys, text);
    read_signed(keys, text);
    read_bearer(keys, text);
    read_basic(text);
    read_params("application/x-www-form-urlencoded", data, size);
    read_params("application/json", data, size);
    read_scopes(text);
    free(text);
    token_keys_free(keys);
    return 0;
}
