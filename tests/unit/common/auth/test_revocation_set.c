/* The set of revoked tokens: what was added is found, and goes when it has expired. */
#include "common/auth/revocation_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { NOW = 1800000000, MANY = 5000 };

static struct revoked_token revocation(uint32_t number, int64_t expires_at) {
    struct revoked_token r = {.expires_at = expires_at, .issued_ms = number};
    memcpy(r.id.bytes, &number, sizeof number);
    memcpy(r.id.bytes + 12, &number, sizeof number);
    return r;
}

static void add(struct revocation_set *set, uint32_t number, int64_t expires_at) {
    struct revoked_token r = revocation(number, expires_at);
    assert_true(revocation_set_add(set, &r, NOW));
}

static bool has(const struct revocation_set *set, uint32_t number) {
    struct revoked_token r = revocation(number, 0);
    return revocation_set_has(set, &r.id);
}

static void what_was_added_is_found(void **state) {
    (void)state;
    struct revocation_set set = {0};
    assert_false(has(&set, 1));
    for (uint32_t i = 0; i < MANY; i++)
        add(&set, i, NOW + 1 + i);
    assert_int_equal(set.count, MANY);
    assert_true(set.capacity <= 4 * MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_true(has(&set, i));
    for (uint32_t i = MANY; i < 2 * MANY; i++)
        assert_false(has(&set, i));
    revocation_set_free(&set);
}

/* Ids of which only the first bytes differ want the same slot. */
static void colliding_ids_are_told_apart(void **state) {
    (void)state;
    struct revocation_set set = {0};
    for (uint8_t i = 0; i < 100; i++) {
        struct revoked_token r = {.id = {{i}}, .expires_at = NOW + 1};
        assert_true(revocation_set_add(&set, &r, NOW));
        assert_true(revocation_set_has(&set, &r.id));
    }
    assert_int_equal(set.count, 100);
    revocation_set_free(&set);
}

static void adding_twice_counts_once(void **state) {
    (void)state;
    struct revocation_set set = {0};
    add(&set, 7, NOW + 5);
    add(&set, 7, NOW + 5);
    assert_int_equal(set.count, 1);
    revocation_set_free(&set);
}

static void what_has_expired_is_not_kept(void **state) {
    (void)state;
    struct revocation_set set = {0};
    add(&set, 1, NOW);
    assert_int_equal(set.count, 0);
    for (uint32_t i = 0; i < MANY; i++)
        add(&set, i, NOW + (i % 2 ? 10 : 20));
    revocation_set_tidy(&set, NOW + 10, REVOCATION_NO_TIME);
    assert_int_equal(set.count, MANY / 2);
    for (uint32_t i = 0; i < MANY; i++)
        assert_true(has(&set, i) == (i % 2 == 0));
    size_t large = set.capacity;
    revocation_set_tidy(&set, NOW + 20, REVOCATION_NO_TIME);
    assert_int_equal(set.count, 0);
    assert_true(set.capacity < large);
    assert_false(has(&set, 2));
    revocation_set_free(&set);
}

/* Those that come and go all the time do not make it grow. */
static void the_size_follows_what_lives(void **state) {
    (void)state;
    struct revocation_set set = {0};
    for (uint32_t i = 0; i < 20 * MANY; i++) {
        struct revoked_token r = revocation(i, NOW + i + 10);
        assert_true(revocation_set_add(&set, &r, NOW + i));
    }
    assert_true(set.capacity < 1024);
    assert_true(has(&set, 20 * MANY - 1));
    revocation_set_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found),     cmocka_unit_test(colliding_ids_are_told_apart),
        cmocka_unit_test(adding_twice_counts_once),    cmocka_unit_test(what_has_expired_is_not_kept),
        cmocka_unit_test(the_size_follows_what_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
