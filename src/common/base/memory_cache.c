/* The cache in memory: a set-associative table. The key selects a set of a few entries. */
#include "common/base/memory_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8 };

struct entry {
    uint8_t key[MEMORY_CACHE_KEY_SIZE];
    int64_t until_ms;
    uint64_t used; /* greater: used more recently */
    size_t len;
    char value[];
};

struct memory_cache {
    pthread_mutex_t lock; /* guards the rest, entries included */
    uint64_t uses;
    size_t count; /* of sets, a power of two */
    struct memory_cache_size size;
    struct entry *sets[][WAYS];
};

struct memory_cache *memory_cache_new(size_t values) {
    size_t count = values / WAYS;
    struct memory_cache *cache = calloc(1, sizeof *cache + count * sizeof cache->sets[0]);
    if (!cache)
        return NULL;
    cache->count = count;
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void memory_cache_free(struct memory_cache *cache) {
    if (!cache)
        return;
    for (size_t set = 0; set < cache->count; set++)
        for (size_t way = 0; way < WAYS; way++)
            free(cache->sets[set][way]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* These bytes are random both in a UUIDv7 and in a digest. */
static struct entry **set_of(struct memory_cache *cache, const uint8_t *key) {
    return cache->sets[(size_t)(key[14] << 8 | key[15]) & (cache->count - 1)];
}

static struct entry **memory_cache_find(struct entry **set, const uint8_t *key) {
    for (size_t way = 0; way < WAYS; way++)
        if (set[way] && memcmp(set[way]->key, key, MEMORY_CACHE_KEY_SIZE) == 0)
            return &set[way];
    return NULL;
}

bool memory_cache_get(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      int64_t now_ms, char value[static MEMORY_CACHE_VALUE_MAX], size_t *len) {
    pthread_mutex_lock(&cache->lock);
    struct entry **found = memory_cache_find(set_of(cache, key), key);
    bool good = found && (*found)->until_ms > now_ms;
    if (good) {
        (*found)->used = ++cache->uses;
        *len = (*found)->len;
        memcpy(value, (*found)->value, *len);
    }
    pthread_mutex_unlock(&cache->lock);
    return good;
}

/* The slot for a new entry: that of the same key, else a free one, else that of the least recently used entry. */
static struct entry **memory_cache_place(struct entry **set, const uint8_t *key) {
    struct entry **best = memory_cache_find(set, key);
    for (size_t way = 0; !best && way < WAYS; way++)
        if (!set[way])
            best = &set[way];
    if (best)
        return best;
    best = &set[0];
    for (size_t way = 1; way < WAYS; way++)
        if (set[way]->used < (*best)->used)
            best = &set[way];
    return best;
}

void memory_cache_put(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      const void *value, size_t len, int64_t until_ms) {
    struct entry *entry = len <= MEMORY_CACHE_VALUE_MAX ? malloc(sizeof *entry + len) : NULL;
    if (!entry)
        return;
    memcpy(entry->key, key, MEMORY_CACHE_KEY_SIZE);
    memcpy(entry->value, value, len);
    entry->len = len;
    entry->until_ms = until_ms;
    pthread_mutex_lock(&cache->lock);
    struct entry **at = memory_cache_place(set_of(cache, key), key);
    struct entry *old = *at;
    entry->used = ++cache->uses;
    *at = entry;
    cache->size.values += !old;
    cache->size.bytes += sizeof *entry + len - (old ? sizeof *old + old->len : 0);
    pthread_mutex_unlock(&cache->lock);
    free(old);
}

struct memory_cache_size memory_cache_size(struct memory_cache *cache) {
    pthread_mutex_lock(&cache->lock);
    struct memory_cache_size size = cache->size;
    pthread_mutex_unlock(&cache->lock);
    return size;
}
