/* Access tokens: signed JWTs after RFC 9068 (typ at+jwt), issued and verified. A token_keys is read-only
 * after token_keys_new: any thread may use it. */
#pragma once

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_SIZE 4096 /* longer ones are refused unread */
#define TOKEN_MIN_SECRET 32 /* bytes; RFC 8725 §3.5 */
#define TOKEN_CLIENT_ID_SIZE 256
#define TOKEN_SCOPE_SIZE 512
#define TOKEN_ID_SIZE 37

struct token_keys;

struct token_options {
    const char *secret; /* HS256 */
    const char *issuer, *audience;
    int64_t lifetime_s;
};

struct token_claims {
    char client_id[TOKEN_CLIENT_ID_SIZE];
    char scope[TOKEN_SCOPE_SIZE];  /* space separated */
    char id[TOKEN_ID_SIZE];        /* jti */
    int64_t issued_at, expires_at; /* epoch seconds */
};

enum token_status {
    TOKEN_OK,
    TOKEN_EXPIRED,
    TOKEN_INVALID, /* malformed, wrong type, algorithm, signature, issuer, audience or claims; or not yet
                      valid */
    TOKEN_NO_MEMORY,
};

/* Copies the options. NULL when the secret is shorter than TOKEN_MIN_SECRET bytes, or out of memory. */
struct token_keys *token_keys_new(const struct token_options *options);
void token_keys_free(struct token_keys *keys); /* NULL is fine */

/* A new token for client_id; *claims receives what it says. The caller frees the text; NULL when out of
 * memory or when client_id or scope does not fit. */
char *token_issue(const struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                  struct token_claims *claims) MUST_CHECK;

/* *claims is set only on TOKEN_OK. Trusts nothing in the token before its signature: key and algorithm come
 * from keys. Leeway of 0 s: the issuer is us. */
enum token_status token_verify(const struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *claims) MUST_CHECK;

int64_t token_lifetime_s(const struct token_keys *keys);
const char *token_issuer(const struct token_keys *keys);
const char *token_audience(const struct token_keys *keys);

/* Whether the space-separated list holds the scope. */
bool token_has_scope(const char *list, const char *scope);
