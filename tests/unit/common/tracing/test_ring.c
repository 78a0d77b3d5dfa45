/* The bounded buffer of spans: what goes in comes out in order, and never more than fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/tracing/private.h"

#include <string.h>

static void spans_come_out_in_their_order(void **state) {
    (void)state;
    struct span_ring ring;
    uint8_t out[64];
    size_t count;
    assert_true(ring_init(&ring, 64));
    assert_true(ring_put(&ring, "one", 3) && ring_put(&ring, "two", 3) && ring_put(&ring, "", 0));
    assert_int_equal(ring_take(&ring, out, sizeof out, &count), 6);
    assert_int_equal(count, 3);
    assert_memory_equal(out, "onetwo", 6);
    assert_int_equal(ring_take(&ring, out, sizeof out, &count), 0);
    assert_int_equal(count, 0);
    ring_free(&ring);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct span_ring ring;
    uint8_t out[64];
    size_t count;
    assert_true(ring_init(&ring, 32));
    assert_false(ring_put(&ring, out, 29)); /* 4 bytes are its length */
    assert_true(ring_put(&ring, "0123456789abcdef", 16));
    assert_false(ring_put(&ring, "0123456789", 10));
    assert_true(ring_put(&ring, "01234567", 8));
    assert_int_equal(ring.used, 32);
    assert_false(ring_put(&ring, "", 0));
    assert_int_equal(ring_take(&ring, out, sizeof out, &count), 24);
    assert_int_equal(count, 2);
    assert_true(ring_put(&ring, out, 28));
    ring_free(&ring);
}

static void a_whole_span_is_taken_or_none(void **state) {
    (void)state;
    struct span_ring ring;
    uint8_t out[64];
    size_t count;
    assert_true(ring_init(&ring, 64));
    assert_true(ring_put(&ring, "12345", 5) && ring_put(&ring, "67890", 5));
    assert_int_equal(ring_take(&ring, out, 9, &count), 5);
    assert_int_equal(count, 1);
    assert_int_equal(ring_take(&ring, out, 4, &count), 0);
    assert_int_equal(ring_take(&ring, out, 5, &count), 5);
    assert_memory_equal(out, "67890", 5);
    ring_free(&ring);
}

/* Every length of span crosses the end of the memory at every place. */
static void spans_go_over_the_end(void **state) {
    (void)state;
    for (size_t size = 20; size < 40; size++) {
        struct span_ring ring;
        assert_true(ring_init(&ring, size));
        uint8_t put = 0, taken = 0;
        for (int round = 0; round < 500; round++) {
            uint8_t span[12], out[64];
            size_t count, len = (size_t)(round % 12);
            memset(span, put, sizeof span);
            put = (uint8_t)(put + ring_put(&ring, span, len + 1));
            if (round % 3 == 0)
                continue;
            size_t got = ring_take(&ring, out, 13, &count);
            for (size_t i = 0; i < got; i++) {
                taken = (uint8_t)(taken + (i > 0 && out[i] != out[i - 1]));
                assert_int_equal(out[i], taken);
            }
            taken = (uint8_t)(taken + (got > 0));
        }
        assert_int_equal((uint8_t)(put - taken), ring.count);
        assert_true(ring.used <= size);
        ring_free(&ring);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_out_in_their_order),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_whole_span_is_taken_or_none),
        cmocka_unit_test(spans_go_over_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
