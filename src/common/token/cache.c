/* Tokens that were verified already: what they say, found by their SHA-256.
 *
 * Only a token whose every byte is the same finds an entry, so it needs no second look at the signature; its
 * times are looked at each time. The entries go with the keys that they were verified with. */
#include "common/base/digest.h"
#include "private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 4096 /* of less than 1 KiB; memory that no token has touched yet costs nothing */

struct slot {
    uint8_t digest[SHA256_SIZE]; /* zeros: empty */
    struct token_claims claims;
};

struct token_cache {
    pthread_mutex_t lock; /* for the copying of a slot */
    struct slot slots[SLOTS];
};

struct token_cache *token_cache_new(void) {
    struct token_cache *cache = calloc(1, sizeof *cache);
    if (cache)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void token_cache_free(struct token_cache *cache) {
    if (cache)
        pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Each token has one slot. Two that want the same drive each other out: they cost what they would without. */
static struct slot *slot_of(struct token_cache *cache, const uint8_t digest[static SHA256_SIZE]) {
    return &cache->slots[(digest[0] << 8 | digest[1]) % SLOTS];
}

bool token_cache_find(struct token_cache *cache, const uint8_t digest[static SHA256_SIZE],
                      struct token_claims *claims) {
    const struct slot *slot = slot_of(cache, digest);
    pthread_mutex_lock(&cache->lock);
    bool found = memcmp(slot->digest, digest, SHA256_SIZE) == 0;
    if (found)
        *claims = slot->claims;
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void token_cache_put(struct token_cache *cache, const uint8_t digest[static SHA256_SIZE],
                     const struct token_claims *claims) {
    struct slot *slot = slot_of(cache, digest);
    pthread_mutex_lock(&cache->lock);
    memcpy(slot->digest, digest, SHA256_SIZE);
    slot->claims = *claims;
    pthread_mutex_unlock(&cache->lock);
}
