/* Signing and verifying by libjwt, of which no other file knows.
 *
 * What libjwt takes on trust is made certain here and in token.c. Given no key, it checks no signature. It
 * takes the algorithm that a token's header says. It does not look at what HMAC returns: short of memory, it
 * signs with nothing, and compares a signature with whatever is in its buffer. */
#include "private.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(long) == sizeof(int64_t), "libjwt has times as long");

static const jwt_alg_t token_jwt_algorithms[] = {
    [TOKEN_HS256] = JWT_ALG_HS256, [TOKEN_RS256] = JWT_ALG_RS256, [TOKEN_ES256] = JWT_ALG_ES256};

static bool token_jwt_add_claims(jwt_t *jwt, const struct token_keys *keys,
                                 const struct token_claims *claims) {
    char id[UUID_TEXT_SIZE];
    uuid_format(&claims->id, id);
    const struct {
        const char *name, *value;
    } texts[] = {{"iss", keys->issuer},      {"aud", keys->audience},
                 {"sub", claims->client_id}, {"client_id", claims->client_id},
                 {"scope", claims->scope},   {"jti", id}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (jwt_add_grant(jwt, texts[i].name, texts[i].value) != 0)
            return false;
    return jwt_add_grant_int(jwt, "iat", claims->issued_at) == 0 &&
           jwt_add_grant_int(jwt, "exp", claims->expires_at) == 0;
}

/* alg goes into the header by itself; typ would be JWT, had it no other. */
static bool token_jwt_set_key(jwt_t *jwt, const struct token_key *key) {
    return jwt_set_alg(jwt, token_jwt_algorithms[key->algorithm], (const unsigned char *)key->sign_with,
                       (int)strlen(key->sign_with)) == 0 &&
           jwt_add_header(jwt, "typ", "at+jwt") == 0 &&
           (!*key->kid || jwt_add_header(jwt, "kid", key->kid) == 0);
}

/* Whether the token has a signature, and we would read it. */
static bool token_jwt_is_whole(const struct token_key *key, const char *token) {
    const char *last = strrchr(token, '.');
    return last && strlen(last + 1) == key->signature_len && strlen(token) <= TOKEN_MAX_SIZE;
}

char *token_jwt_encode(const struct token_key *key, const struct token_keys *keys,
                       const struct token_claims *claims) {
    jwt_t *jwt;
    if (jwt_new(&jwt) != 0)
        return NULL;
    char *token = NULL;
    if (token_jwt_add_claims(jwt, keys, claims) && token_jwt_set_key(jwt, key))
        token = jwt_encode_str(jwt);
    jwt_free(jwt);
    ERR_clear_error();
    if (token && token_jwt_is_whole(key, token))
        return token;
    free(token);
    return NULL;
}

/* errno and OpenSSL's errors tell more than libjwt: to it most of what goes wrong is EINVAL, and some is not
 * wrong. */
static enum token_status token_jwt_look(const struct token_key *key, size_t len, const char *token) {
    jwt_t *jwt = NULL;
    ERR_clear_error();
    errno = 0;
    int fault = jwt_decode(&jwt, token, (const unsigned char *)key->verify_with, (int)len);
    enum token_status status = TOKEN_INVALID;
    if (fault == ENOMEM || errno == ENOMEM)
        status = TOKEN_NO_MEMORY;
    else if (fault == 0 && ERR_peek_error() == 0 && jwt_get_alg(jwt) == token_jwt_algorithms[key->algorithm])
        status = TOKEN_OK;
    jwt_free(jwt);
    ERR_clear_error(); /* or they would wait for whoever looks next on this thread */
    return status;
}

/* malloc that gets no more from brk gets it from mmap, and leaves ENOMEM behind: 1 MiB, so not twice in a row. */
enum token_status token_jwt_verify(const struct token_key *key, const char *token) {
    size_t len = strlen(key->verify_with);
    if (len == 0)
        return TOKEN_INVALID;
    enum token_status status = token_jwt_look(key, len, token);
    return status == TOKEN_NO_MEMORY ? token_jwt_look(key, len, token) : status;
}
