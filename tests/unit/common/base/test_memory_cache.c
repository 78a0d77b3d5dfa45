/* The cache in memory: what it returns, what gives way, its bounds, use by many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/memory_cache.h"

#include <pthread.h>
#include <string.h>

enum { KEYS = 200000, THREADS = 4, SETS = 4096, WAYS = 8, NEVER = INT32_MAX };

/* Keys of one set with the same second number. */
static const uint8_t *key_of(uint32_t number, uint32_t set) {
    static _Thread_local uint8_t key[MEMORY_CACHE_KEY_SIZE];
    memcpy(key, &number, sizeof number);
    key[14] = (uint8_t)(set >> 8);
    key[15] = (uint8_t)set;
    return key;
}

static bool holds(struct memory_cache *cache, const uint8_t *key, int64_t now_ms, const char *value) {
    char out[MEMORY_CACHE_VALUE_MAX];
    size_t len;
    bool found = memory_cache_get(cache, key, now_ms, out, &len);
    bool same = found && len == strlen(value) && memcmp(out, value, len) == 0;
    assert_true(same == found);
    return found;
}

static void put(struct memory_cache *cache, const uint8_t *key, const char *value, int64_t until_ms) {
    memory_cache_put(cache, key, value, strlen(value), until_ms);
}

static void a_value_comes_back_until_its_time_is_over(void **state) {
    struct memory_cache *cache = *state;
    assert_false(holds(cache, key_of(1, 1), 0, "x"));
    put(cache, key_of(1, 1), "one", 100);
    assert_true(holds(cache, key_of(1, 1), 99, "one"));
    assert_false(holds(cache, key_of(2, 1), 99, "one"));
    assert_false(holds(cache, key_of(1, 1), 100, "one"));
    put(cache, key_of(1, 1), "another", 200);
    assert_true(holds(cache, key_of(1, 1), 100, "another"));
}

static void its_size_is_known(void **state) {
    struct memory_cache *cache = *state;
    assert_int_equal(memory_cache_size(cache).values, 0);
    put(cache, key_of(1, 1), "one", 100);
    size_t one = memory_cache_size(cache).bytes;
    put(cache, key_of(2, 1), "three", 100);
    assert_int_equal(memory_cache_size(cache).values, 2);
    assert_int_equal(memory_cache_size(cache).bytes, 2 * one + 2);
    put(cache, key_of(2, 1), "two", 100);
    assert_int_equal(memory_cache_size(cache).bytes, 2 * one);
    for (uint32_t i = 3; i < 100; i++) /* of one set, which has room for 8 */
        put(cache, key_of(i, 1), "new", 100);
    assert_int_equal(memory_cache_size(cache).values, WAYS);
    assert_int_equal(memory_cache_size(cache).bytes, WAYS * one);
}

static void a_value_that_is_too_large_is_not_kept(void **state) {
    struct memory_cache *cache = *state;
    static char value[MEMORY_CACHE_VALUE_MAX + 2];
    memset(value, 'x', MEMORY_CACHE_VALUE_MAX + 1);
    put(cache, key_of(1, 2), value, NEVER);
    assert_false(holds(cache, key_of(1, 2), 0, value));
    value[MEMORY_CACHE_VALUE_MAX] = '\0';
    put(cache, key_of(1, 2), value, NEVER);
    assert_true(holds(cache, key_of(1, 2), 0, value));
}

static void what_was_not_used_for_longest_gives_way(void **state) {
    struct memory_cache *cache = *state;
    for (uint32_t i = 0; i < WAYS; i++)
        put(cache, key_of(i, 3), "v", NEVER);
    assert_true(holds(cache, key_of(0, 3), 0, "v"));
    put(cache, key_of(WAYS, 3), "v", NEVER);
    assert_false(holds(cache, key_of(1, 3), 0, "v"));
    for (uint32_t i = 0; i <= WAYS; i++)
        assert_true(i == 1 || holds(cache, key_of(i, 3), 0, "v"));
}

static void the_number_of_values_is_bounded(void **state) {
    struct memory_cache *cache = *state;
    size_t kept = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        put(cache, key_of(i, i % SETS), "v", NEVER);
    for (uint32_t i = 0; i < KEYS; i++)
        kept += holds(cache, key_of(i, i % SETS), 0, "v");
    assert_int_equal(kept, WAYS * SETS);
    assert_true(holds(cache, key_of(KEYS - 1, (KEYS - 1) % SETS), 0, "v"));
}

static void *use(void *cache) {
    size_t found = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        put(cache, key_of(i % 7, 5), "shared", NEVER);
        found += holds(cache, key_of(i % 7, 5), 0, "shared");
    }
    return found > 0 ? cache : NULL;
}

static void many_threads_share_a_cache(void **state) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, *state), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *used;
        pthread_join(threads[i], &used);
        assert_non_null(used);
    }
}

static int open_cache(void **state) {
    *state = memory_cache_new(32768);
    return *state ? 0 : -1;
}

static int close_cache(void **state) {
    memory_cache_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_value_comes_back_until_its_time_is_over, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(its_size_is_known, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(a_value_that_is_too_large_is_not_kept, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(what_was_not_used_for_longest_gives_way, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(the_number_of_values_is_bounded, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(many_threads_share_a_cache, open_cache, close_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
