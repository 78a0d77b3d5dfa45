/* What the files of the tokens share: token.c speaks JWT, token_key.c signs, token_keys.c holds the keys of
 * the moment, token_folder.c reads them, token_cache.c remembers what was verified. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/digest.h"
#include "common/token/token.h"

#include <openssl/types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_KEYS 16
#define TOKEN_SIGNATURE_MAX 512 /* bytes, of RSA with 4096 bits */
#define TOKEN_KID_SIZE BASE64URL_SIZE(SHA256_SIZE)
#define TOKEN_HEADER_SIZE 128

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256 };

/* One key, and the one algorithm it is for (RFC 8725 §3.1). */
struct token_key { /* zero-initialise */
    enum token_algorithm algorithm;
    char *secret; /* of HS256; the others have pkey */
    EVP_PKEY *pkey;
    bool may_sign;
    char kid[TOKEN_KID_SIZE];       /* RFC 7638; "" of a secret */
    char header[TOKEN_HEADER_SIZE]; /* of the tokens it signs, encoded */
    struct buf jwk;                 /* its public part as JSON; empty of a secret */
};

/* Both make the key; false, with words in *fault, when it cannot be one (the words: out of memory, too). The
 * PEM is one private or public key, without a passphrase. token_key_done in either case. */
bool token_key_of_secret(struct token_key *key, const char *secret, const char **fault) MUST_CHECK;
bool token_key_of_pem(struct token_key *key, const char *path, const char **fault) MUST_CHECK;
void token_key_done(struct token_key *key);

const char *token_key_algorithm(const struct token_key *key);

/* Both work on a JWS signing input and the bytes of its signature (RFC 7515). Returns the size of the
 * signature, 0 when out of memory. */
size_t token_key_sign(const struct token_key *key, const char *text, size_t len,
                      uint8_t signature[static TOKEN_SIGNATURE_MAX]) MUST_CHECK;
enum token_status token_key_verify(const struct token_key *key, const char *text, size_t len,
                                   const uint8_t *signature, size_t signature_len) MUST_CHECK;

/* The keys of one moment, and what was verified with them: read-only, but for the cache, which has a lock of
 * its own. */
struct token_set {
    size_t refs; /* under the lock of token_keys */
    size_t count;
    struct token_key keys[TOKEN_MAX_KEYS];
    const struct token_key *signing; /* NULL where none are issued */
    struct token_cache *cache;
};

/* NULL when out of memory. */
struct token_set *token_set_new(void);
void token_set_free(struct token_set *set); /* NULL is fine */

struct token_keys {
    pthread_mutex_t lock; /* of set, and of all refs */
    struct token_set *set;
    char *issuer, *audience;
    int64_t lifetime_s;
    /* of the thread that follows the folder */
    char *folder;
    bool issues;
    struct buf seen; /* how the folder looked when it was read */
    bool failing;
    struct ticker *ticker;
};

/* The keys of now, until released. */
struct token_set *token_keys_hold(struct token_keys *keys);
void token_keys_release(struct token_keys *keys, struct token_set *set);

/* How the folder looks: names, sizes and times of its PEM files. False, with words in error, when it cannot
 * be read. */
bool token_folder_look(const char *folder, struct buf *out, struct buf *error) MUST_CHECK;
/* Its keys, that which signs first; NULL, with words in error, when one of them cannot be used, there are
 * none or too many, or the one to sign with is missing. */
struct token_set *token_folder_read(const char *folder, bool issues, struct buf *error);

/* What was verified, by the SHA-256 of the whole token. Bounded: a new entry takes the place of another.
 * NULL when out of memory. */
struct token_cache *token_cache_new(void);
void token_cache_free(struct token_cache *cache); /* NULL is fine */
bool token_cache_find(struct token_cache *cache, const uint8_t digest[static SHA256_SIZE],
                      struct token_claims *claims) MUST_CHECK;
void token_cache_put(struct token_cache *cache, const uint8_t digest[static SHA256_SIZE],
                     const struct token_claims *claims);
