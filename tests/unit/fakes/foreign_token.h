/* Tokens made by hand with OpenSSL, so that each header and claim can be wrong by itself. */
#pragma once

#include "common/token/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define FOREIGN_SIZE 16384
#define FOREIGN_NOW 1800000000
#define FOREIGN_SECRET "0123456789abcdef0123456789abcdef"
#define FOREIGN_HEADER "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}"
#define FOREIGN_START                                                                                        \
    "{\"iss\":\"the-issuer\",\"aud\":\"the-api\",\"sub\":\"shop-1\",\"client_id\":\"shop-1\","               \
    "\"scope\":\"order:create "                                                                              \
    "order:read\",\"jti\":\"0190163d-8694-739b-aea5-966c26f8ad91\",\"iat\":1799999999"
#define FOREIGN_CLAIMS FOREIGN_START ",\"exp\":1800000001}"

/* What the tokens above are right for. */
static const struct token_options foreign_options = {
    .secret = FOREIGN_SECRET, .issuer = "the-issuer", .audience = "the-api", .lifetime_s = 3600};

static inline void append_base64url(char *out, const void *bytes, size_t len) {
    char *end = out + strlen(out);
    EVP_EncodeBlock((unsigned char *)end, bytes, (int)len);
    for (; *end && *end != '='; end++)
        *end = *end == '+' ? '-' : *end == '/' ? '_' : *end;
    *end = '\0';
}

static inline void append_signature(char *token, const EVP_MD *digest, const char *secret) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    HMAC(digest, secret, (int)strlen(secret), (unsigned char *)token, strlen(token), mac, &len);
    strcat(token, ".");
    append_base64url(token, mac, len);
}

/* A token with this header and these claims, signed with this secret; valid until the next call. */
static inline const char *foreign_token(const char *header, const char *claims, const EVP_MD *digest,
                                        const char *secret) {
    static char token[FOREIGN_SIZE];
    *token = '\0';
    append_base64url(token, header, strlen(header));
    strcat(token, ".");
    append_base64url(token, claims, strlen(claims));
    append_signature(token, digest, secret);
    return token;
}

/* A token as order-svc issues it; the caller frees it. */
static inline char *foreign_issue(struct token_keys *keys) {
    struct token_claims claims;
    char *token = token_issue(keys, "shop-1", "order:read", FOREIGN_NOW, &claims);
    if (!token)
        abort();
    return token;
}

static inline enum token_status foreign_status(struct token_keys *keys, const char *token) {
    struct token_claims claims;
    return token_verify(keys, token, FOREIGN_NOW, &claims);
}
