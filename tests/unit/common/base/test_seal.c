/* Sealed secrets: what opens them, and what does not. */
#include "common/base/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char key[] = "the key of this test, which is long enough";
static const char secret[] = "thirty-two bytes of a secret ...";
enum { LEN = sizeof secret - 1 };

static void a_sealed_secret_opens_with_its_key_and_name(void **state) {
    (void)state;
    uint8_t sealed[SEALED_SIZE(LEN)];
    char opened[LEN];
    assert_true(seal(key, "row 1", 5, secret, LEN, sealed));
    assert_true(seal_open(key, "row 1", 5, sealed, LEN, opened));
    assert_memory_equal(opened, secret, LEN);
}

static void sealing_twice_gives_different_bytes(void **state) {
    (void)state;
    uint8_t a[SEALED_SIZE(LEN)], b[SEALED_SIZE(LEN)];
    assert_true(seal(key, "row", 3, secret, LEN, a));
    assert_true(seal(key, "row", 3, secret, LEN, b));
    assert_memory_not_equal(a, b, SEAL_NONCE_SIZE);
    assert_memory_not_equal(a + SEAL_NONCE_SIZE, b + SEAL_NONCE_SIZE, LEN);
}

static void another_key_or_name_opens_nothing(void **state) {
    (void)state;
    static const char nothing[LEN];
    uint8_t sealed[SEALED_SIZE(LEN)];
    char opened[LEN] = "x";
    assert_true(seal(key, "row 1", 5, secret, LEN, sealed));
    assert_false(seal_open("another key", "row 1", 5, sealed, LEN, opened));
    assert_memory_equal(opened, nothing, LEN);
    assert_false(seal_open(key, "row 2", 5, sealed, LEN, opened));
    assert_memory_equal(opened, nothing, LEN);
}

static void a_changed_byte_is_noticed_wherever_it_is(void **state) {
    (void)state;
    uint8_t sealed[SEALED_SIZE(LEN)];
    char opened[LEN];
    assert_true(seal(key, "row", 3, secret, LEN, sealed));
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_false(seal_open(key, "row", 3, sealed, LEN, opened));
        sealed[i] ^= 1;
    }
    assert_true(seal_open(key, "row", 3, sealed, LEN, opened));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_secret_opens_with_its_key_and_name),
        cmocka_unit_test(sealing_twice_gives_different_bytes),
        cmocka_unit_test(another_key_or_name_opens_nothing),
        cmocka_unit_test(a_changed_byte_is_noticed_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
