/* Text built piece by piece. */
#include "common/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void appending_grows_and_terminates(void **state) {
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 5000; i++) {
        buf_printf(&b, "%04d", i);
        buf_char(&b, ',');
        assert_int_equal(b.len, (i + 1) * 5);
        assert_int_equal(b.data[b.len], 0);
    }
    assert_false(b.failed);
    assert_memory_equal(b.data + 4321 * 5, "4321,4322,", 10);
    buf_free(&b);
}

static void pieces_follow_each_other(void **state) {
    (void)state;
    struct buf b = {0};
    buf_append(&b, NULL, 0);
    assert_string_equal(b.data, "");
    buf_str(&b, "a");
    buf_append(&b, "bcd", 2);
    buf_printf(&b, "%s-%d", "x", 7);
    assert_string_equal(b.data, "abcx-7");
    buf_clear(&b);
    assert_string_equal(b.data, "");
    buf_str(&b, "new");
    assert_string_equal(b.data, "new");
    buf_free(&b);
}

static void printf_may_be_longer_than_the_room_left(void **state) {
    (void)state;
    struct buf b = {0};
    buf_str(&b, "<");
    buf_printf(&b, "%0*d", 3000, 1);
    buf_str(&b, ">");
    assert_int_equal(b.len, 3002);
    assert_string_equal(b.data + 2998, "001>");
    buf_free(&b);
}

static void take_hands_over_and_empties(void **state) {
    (void)state;
    struct buf b = {0};
    assert_null(buf_take(&b));
    buf_str(&b, "mine");
    char *text = buf_take(&b);
    assert_string_equal(text, "mine");
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    free(text);
    buf_str(&b, "");
    assert_null(buf_take(&b));
    assert_null(b.data);
}

static void a_failure_sticks_until_the_buffer_is_emptied(void **state) {
    (void)state;
    volatile size_t too_much = PTRDIFF_MAX;
    struct buf b = {0};
    buf_str(&b, "kept");
    buf_append(&b, "x", too_much);
    assert_true(b.failed);
    buf_str(&b, "ignored");
    buf_printf(&b, "%d", 1);
    buf_int(&b, 1);
    assert_string_equal(b.data, "kept");
    assert_null(buf_take(&b));
    assert_false(b.failed);
    buf_str(&b, "works again");
    assert_string_equal(b.data, "works again");

    buf_append(&b, "x", too_much);
    buf_clear(&b);
    assert_false(b.failed);
    assert_string_equal(b.data, "");
    buf_free(&b);
}

static void numbers_are_written_in_full(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 7, 10, -1, 1000000, INT64_MAX, INT64_MIN};
    struct buf b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_int(&b, numbers[i]);
        buf_char(&b, ' ');
    }
    assert_string_equal(b.data, "0 7 10 -1 1000000 9223372036854775807 -9223372036854775808 ");
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_grows_and_terminates),
        cmocka_unit_test(pieces_follow_each_other),
        cmocka_unit_test(printf_may_be_longer_than_the_room_left),
        cmocka_unit_test(take_hands_over_and_empties),
        cmocka_unit_test(a_failure_sticks_until_the_buffer_is_emptied),
        cmocka_unit_test(numbers_are_written_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
