/* Redis by hand: a few keys in memory, no server, no memory of its own. Include after cmocka.h, in one file of a test. */
#pragma once

#include "common/cache/cache.h"

#include <string.h>

enum { FAKE_KEYS = 8, FAKE_VALUE_MAX = 1024 };

struct cache_values {
    size_t count;
    struct {
        bool found;
        char bytes[FAKE_VALUE_MAX];
        size_t len;
    } list[FAKE_KEYS];
};

static struct {
    bool away;
    size_t asks, puts; /* how often */
    struct cache_entry entries[FAKE_KEYS];
    char keys[FAKE_KEYS][128], values[FAKE_KEYS][FAKE_VALUE_MAX];
    size_t count;
    struct cache_values answer;
} redis;

static inline const struct cache_entry *fake_cache_find(const char *key) {
    for (size_t i = 0; i < redis.count; i++)
        if (strcmp(redis.keys[i], key) == 0)
            return &redis.entries[i];
    return NULL;
}

struct cache_values *cache_get(struct cache *cache, const char *const keys[], size_t n) {
    (void)cache;
    redis.asks++;
    redis.answer.count = n;
    assert_true(n <= FAKE_KEYS);
    for (size_t i = 0; i < n; i++) {
        const struct cache_entry *entry = fake_cache_find(keys[i]);
        redis.answer.list[i].found = entry;
        redis.answer.list[i].len = entry ? entry->len : 0;
        memcpy(redis.answer.list[i].bytes, entry ? entry->value : "", entry ? entry->len : 0);
    }
    return redis.away ? NULL : &redis.answer;
}

const char *cache_value(const struct cache_values *values, size_t i, size_t *len) {
    if (!values || !values->list[i].found)
        return NULL;
    assert_true(i < values->count);
    *len = values->list[i].len;
    return values->list[i].bytes;
}

void cache_values_free(struct cache_values *values) {
    (void)values;
}

bool cache_put(struct cache *cache, const struct cache_entry entries[], size_t n) {
    (void)cache;
    redis.puts += n;
    for (size_t i = 0; i < n; i++) {
        assert_true(entries[i].value && entries[i].len > 0 && entries[i].len <= FAKE_VALUE_MAX);
        assert_true(strlen(entries[i].key) < sizeof redis.keys[0]);
        const struct cache_entry *old = fake_cache_find(entries[i].key);
        size_t at = old ? (size_t)(old - redis.entries) : redis.count % FAKE_KEYS;
        if (redis.away)
            continue;
        strcpy(redis.keys[at], entries[i].key);
        memcpy(redis.values[at], entries[i].value, entries[i].len);
        redis.entries[at] = entries[i];
        redis.entries[at].key = redis.keys[at];
        redis.entries[at].value = redis.values[at];
        redis.count += !old && redis.count < FAKE_KEYS;
    }
    return !redis.away;
}

bool cache_put_later(struct cache *cache, const struct cache_entry entries[], size_t n) {
    return cache_put(cache, entries, n);
}
