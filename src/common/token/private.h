/* What the files of the tokens share: token.c has the rules, jwt.c lets libjwt sign and verify, key.c makes a
 * key, folder.c reads those of a directory into a set, set.c holds what goes with a set, keys.c holds the set of now. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/digest.h"
#include "common/base/memory_cache.h"
#include "common/token/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_KEYS 16
#define TOKEN_SIGNATURE_MAX 512 /* bytes, of RSA with 4096 bits */
#define TOKEN_KID_SIZE BASE64URL_SIZE(SHA256_SIZE)

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256 };

/* One key, and the one algorithm it is for (RFC 8725 §3.1). */
struct token_key { /* zero-initialise */
    enum token_algorithm algorithm;
    char *sign_with;          /* the secret, or the private key as PEM; NULL when it may not sign */
    char *verify_with;        /* the secret, or the public key as PEM; never empty */
    size_t signature_len;     /* of its signatures, as base64url */
    char kid[TOKEN_KID_SIZE]; /* RFC 7638; "" of a secret */
    struct buf jwk;           /* its public part as JSON; empty of a secret */
};

/* Two faults that are not a file's: there is too little memory or too few descriptors to read it, or it is gone. */
extern const char token_key_shortage[], token_key_gone[];

/* Both make the key; false, with words in *fault, when it cannot be one. The
 * PEM is one private or public key, without a passphrase. token_key_done in either case. */
bool token_key_of_secret(struct token_key *key, const char *secret, const char **fault) MUST_CHECK;
bool token_key_of_pem(struct token_key *key, const char *path, const char **fault) MUST_CHECK;
void token_key_done(struct token_key *key);

const char *token_key_algorithm(const struct token_key *key);

/* The claims as a token signed by the key, which may sign. The caller frees the text; NULL when out of
 * memory, or when it would be longer than TOKEN_MAX_SIZE. */
char *token_jwt_encode(const struct token_key *key, const struct token_keys *keys,
                       const struct token_claims *claims) MUST_CHECK;
/* Whether the key signed the token, with its own algorithm; of the claims nothing is looked at. Before, the
 * caller has seen to it that all three parts are strict base64url, the first two of strict JSON, and the
 * third of signature_len characters: libjwt is lenient. */
enum token_status token_jwt_verify(const struct token_key *key, const char *token) MUST_CHECK;

/* The keys of one moment, and what was verified with them: read-only, but for the cache, which has a lock of
 * its own. */
struct token_set {
    size_t refs; /* under the lock of token_keys */
    size_t count;
    struct token_key keys[TOKEN_MAX_KEYS];
    const struct token_key *signing; /* NULL where none are issued */
    struct memory_cache *verified;   /* claims of tokens, by the SHA-256 of the whole token */
};

/* NULL when out of memory. */
struct token_set *token_set_new(void);
void token_set_free(struct token_set *set); /* NULL is fine */

/* Whether both have the same keys, and sign with the same one. */
bool token_set_same(const struct token_set *a, const struct token_set *b);

/* What a token says that was verified with this set. Only a token that is the same in each byte is found, so its
 * signature needs no second look. Its times do. Any thread. */
bool token_set_recall(const struct token_set *set, const uint8_t digest[static SHA256_SIZE],
                      struct token_claims *claims) MUST_CHECK;
void token_set_remember(const struct token_set *set, const uint8_t digest[static SHA256_SIZE],
                        const struct token_claims *claims);

struct token_keys {
    pthread_mutex_t lock; /* of set, and of all refs */
    struct token_set *set;
    char *issuer, *audience;
    int64_t lifetime_s;
    struct metric_series *known, *unknown; /* tokens that were verified before, and others */
    atomic_bool asked;                     /* to read the folder, also when it looks as before */
    /* of the thread that follows the folder */
    char *folder;
    bool issues;
    struct buf seen;   /* how the folder looked when it was read */
    struct buf faults; /* what was wrong with it, as it was logged */
    struct ticker *ticker;
};

/* The keys of now, until released. */
struct token_set *token_keys_hold(struct token_keys *keys);
void token_keys_release(struct token_keys *keys, struct token_set *set);

/* How the folder looks: names, sizes and times of its PEM files. False, with the reason in faults, when it cannot be
 * read. A folder that is gone is empty. */
bool token_folder_look(const char *folder, struct buf *out, struct buf *faults) MUST_CHECK;
/* Its keys, current.pem first. Appends to faults what cannot be used, which leaves the other keys: maybe none, and maybe
 * none to sign with. Without current.pem that is the one that signed before (NULL: none did), if it is still there.
 * NULL when the folder cannot be read at the moment, or when out of memory. */
struct token_set *token_folder_read(const char *folder, bool issues, const struct token_set *before,
                                    struct buf *faults);
