/* What was verified is found by its whole digest, and by nothing like it. */
#include "common/token/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct token_claims shop = {.client_id = "shop-1", .scope = "order:read", .expires_at = 7};
static const struct token_claims other = {.client_id = "shop-2", .scope = "order:create", .expires_at = 8};

static void test_entry_is_found_by_every_byte(void **state) {
    (void)state;
    struct token_cache *cache = token_cache_new();
    struct token_claims found;
    uint8_t digest[SHA256_SIZE];
    memset(digest, 0x5a, sizeof digest);
    assert_false(token_cache_find(cache, digest, &found));
    token_cache_put(cache, digest, &shop);
    assert_true(token_cache_find(cache, digest, &found));
    assert_string_equal(found.client_id, "shop-1");
    assert_string_equal(found.scope, "order:read");
    assert_int_equal(found.expires_at, 7);
    for (size_t i = 0; i < sizeof digest; i++) {
        digest[i] ^= 1;
        assert_false(token_cache_find(cache, digest, &found));
        digest[i] ^= 1;
    }
    token_cache_free(cache);
}

static void test_of_two_for_one_slot_the_later_stays(void **state) {
    (void)state;
    struct token_cache *cache = token_cache_new();
    struct token_claims found;
    uint8_t first[SHA256_SIZE] = {1, 2, 3}, second[SHA256_SIZE] = {1, 2, 4};
    token_cache_put(cache, first, &shop);
    token_cache_put(cache, second, &other);
    assert_false(token_cache_find(cache, first, &found));
    assert_true(token_cache_find(cache, second, &found));
    assert_string_equal(found.client_id, "shop-2");
    token_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_is_found_by_every_byte),
        cmocka_unit_test(test_of_two_for_one_slot_the_later_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
