/* A cache of immutable values in the memory of the process. The number of values, their size and their age are
 * bounded. When there is no room for a new value, the least recently used value of its set is evicted. Any
 * thread. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_CACHE_KEY_SIZE 32    /* bytes 14 and 15 must be evenly distributed, as in a digest or a UUID */
#define MEMORY_CACHE_VALUE_MAX 1024 /* bytes; larger values are not stored */

struct memory_cache;

/* For up to so many values, a power of two from 8 on. NULL when out of memory. */
struct memory_cache *memory_cache_new(size_t values);
void memory_cache_free(struct memory_cache *cache); /* NULL is fine */

/* Copies the value out. False when it is missing or has expired. */
bool memory_cache_get(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      int64_t now_ms, char value[static MEMORY_CACHE_VALUE_MAX], size_t *len) MUST_CHECK;

/* Stores a copy of the value. A value that is too large, or for which there is no memory, is silently not
 * stored. */
void memory_cache_put(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      const void *value, size_t len, int64_t until_ms);

/* How many values there are, expired ones included, and their bytes. */
struct memory_cache_size {
    size_t values, bytes;
};
struct memory_cache_size memory_cache_size(struct memory_cache *cache);
