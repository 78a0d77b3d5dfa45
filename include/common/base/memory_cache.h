/* Values that never change, kept in the memory of the process: a bounded number of them, each bounded in size
 * and time. Where there is no room for all, those that were not used for longest give way. Any thread. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_CACHE_KEY_SIZE 32    /* evenly distributed in its bytes 14 and 15, as a digest or a UUID is */
#define MEMORY_CACHE_VALUE_MAX 1024 /* bytes; larger values are not kept */

struct memory_cache;

/* For up to so many values, a power of two from 8 on. NULL when out of memory. */
struct memory_cache *memory_cache_new(size_t values);
void memory_cache_free(struct memory_cache *cache); /* NULL is fine */

/* Copies the value out. False when there is none, or none any more. */
bool memory_cache_get(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      int64_t now_ms, char value[static MEMORY_CACHE_VALUE_MAX], size_t *len) MUST_CHECK;

/* Copies the value. What cannot be kept is not: nothing else may depend on it. */
void memory_cache_put(struct memory_cache *cache, const uint8_t key[static MEMORY_CACHE_KEY_SIZE],
                      const void *value, size_t len, int64_t until_ms);
