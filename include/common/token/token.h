/* Access tokens: signed JWTs after RFC 9068 (typ at+jwt), issued and verified, and the keys for that.
 *
 * The keys are one secret (HS256), or the PEM files of a folder (RS256, ES256), which is read again when it
 * changes: each call works with the keys of one moment, and none waits for the reading. Any thread may use a
 * token_keys. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_SIZE 4096 /* longer ones are refused unread */
#define TOKEN_MIN_SECRET 32 /* bytes; RFC 8725 §3.5 */
#define TOKEN_CLIENT_ID_SIZE 256
#define TOKEN_SCOPE_SIZE 512

struct token_keys;

struct token_options {
    const char *folder; /* "" or NULL: none, the secret is the key; else the secret is no key of ours */
    const char *secret; /* HS256 */
    bool issues;        /* whether tokens are issued here, or only verified */
    const char *issuer, *audience;
    int64_t lifetime_s;
};

struct token_claims {
    char client_id[TOKEN_CLIENT_ID_SIZE];
    char scope[TOKEN_SCOPE_SIZE];              /* space separated */
    struct uuid id;                            /* jti */
    int64_t issued_at, not_before, expires_at; /* epoch seconds; not_before: INT64_MIN when there is none */
};

enum token_status {
    TOKEN_OK,
    TOKEN_EXPIRED,
    TOKEN_INVALID,   /* malformed, wrong type, algorithm, signature, issuer, audience or claims; or not yet
                        valid */
    TOKEN_REVOKED,   /* this and the next: not of token_verify, see revocations_check */
    TOKEN_UNDECIDED, /* it is not known yet whether it was revoked */
    TOKEN_NO_MEMORY,
};

/* Copies the options. NULL, which is logged, when the secret is shorter than TOKEN_MIN_SECRET bytes, the
 * folder is not usable, or out of memory.
 *
 * Every *.pem of the folder verifies and is published, RSA keys of 2048 to 4096 bits as RS256, keys on P-256
 * as ES256; current.pem, a private key, signs. Where none are issued, private keys are refused: who cannot
 * sign cannot lose a key. A thread looks at the folder each second. A key that was deleted is void then, whatever else is
 * wrong. A file that cannot be used is logged, and leaves the others. */
struct token_keys *token_keys_new(const struct token_options *options);
/* Reads the folder again, soon, also when it looks as before; its faults are logged again. Without a folder the secret
 * replaces the one that is in use, and the tokens that were signed with the old one are void. NULL: there is no new one.
 * What cannot be used is logged, and the old secret stays. Any thread. */
void token_keys_reload(struct token_keys *keys, const char *secret);
/* After the last use by any thread. NULL is fine. */
void token_keys_free(struct token_keys *keys);

/* Appends the public keys as a JWK Set (RFC 7517), that which signs first; of a secret there are none. */
void token_keys_jwks(struct token_keys *keys, struct buf *out);

/* A new token for client_id; *claims receives what it says. The caller frees the text; NULL when out of
 * memory or when client_id or scope does not fit. */
char *token_issue(struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                  struct token_claims *claims) MUST_CHECK;

/* As token_issue, and the token counts as issued at from_ms at the earliest (see token_issued_ms). */
char *token_issue_from(struct token_keys *keys, const char *client_id, const char *scope, int64_t now_s,
                       int64_t from_ms, struct token_claims *claims) MUST_CHECK;

/* When the token was issued, in milliseconds since the epoch. iat has whole seconds only, so this is the time in the
 * jti. If that is not near iat, it is none, and iat counts. */
int64_t token_issued_ms(const struct token_claims *claims);

/* *claims is set only on TOKEN_OK. Key and algorithm come from keys: the token's header may name one of them
 * (kid), nothing else. Leeway of 0 s: the issuer is us. */
enum token_status token_verify(struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *claims) MUST_CHECK;

int64_t token_lifetime_s(const struct token_keys *keys);
const char *token_issuer(const struct token_keys *keys);
const char *token_audience(const struct token_keys *keys);

/* Whether the space-separated list holds the scope. */
bool token_has_scope(const char *list, const char *scope);
