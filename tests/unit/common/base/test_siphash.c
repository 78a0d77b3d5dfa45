/* SipHash-2-4: vectors of its authors, and that every bit counts. */
#include "common/base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The secret is 00 01 .. 0f, the data 00 01 .. of this length. */
static const struct {
    size_t len;
    uint64_t hash;
} vectors[] = {
    {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
    {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
};

static void the_published_vectors_are_met(void **state) {
    (void)state;
    uint8_t bytes[64];
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (siphash(bytes, bytes, vectors[i].len) != vectors[i].hash)
            fail_msg("of %zu bytes", vectors[i].len);
}

static void every_bit_counts(void **state) {
    (void)state;
    uint8_t secret[SIPHASH_SECRET_SIZE] = {0}, data[20] = {0};
    uint64_t hash = siphash(secret, data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(siphash(secret, data, sizeof data) != hash);
        data[bit / 8] = 0;
    }
    for (size_t bit = 0; bit < 8 * sizeof secret; bit++) {
        secret[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(siphash(secret, data, sizeof data) != hash);
        secret[bit / 8] = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_are_met),
        cmocka_unit_test(every_bit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
