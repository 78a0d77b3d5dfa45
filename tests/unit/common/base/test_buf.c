/* Text built piece by piece, and its JSON forms. */
#include "common/base/buf.h"
#include "common/base/json_write.h"
#include "common/base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void test_appending_grows_and_terminates(void **state) {
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

static void test_pieces_follow_each_other(void **state) {
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

static void test_printf_longer_than_the_room_left(void **state) {
    (void)state;
    struct buf b = {0};
    buf_str(&b, "<");
    buf_printf(&b, "%0*d", 3000, 1);
    buf_str(&b, ">");
    assert_int_equal(b.len, 3002);
    assert_string_equal(b.data + 2998, "001>");
    buf_free(&b);
}

static void test_take_hands_over_and_empties(void **state) {
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

static void test_failure_sticks_until_the_buffer_is_emptied(void **state) {
    (void)state;
    volatile size_t too_much = PTRDIFF_MAX;
    struct buf b = {0};
    buf_str(&b, "kept");
    buf_append(&b, "x", too_much);
    assert_true(b.failed);
    buf_str(&b, "ignored");
    buf_printf(&b, "%d", 1);
    json_append_text(&b, "ignored");
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

static void test_json_strings(void **state) {
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash/", "\"back\\\\slash/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x0b", "\"\\u0001\\u001f\\u000b\""},
        {"\x7f", "\"\x7f\""},
        {"a\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "\"a\\ufffe\\uffff\xef\xbf\xbd\""},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa6", "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa6\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        json_append_text(&b, cases[i].text);
        assert_string_equal(b.data, cases[i].json);
        buf_free(&b);
    }
}

static void test_any_character_survives_a_json_parser(void **state) {
    (void)state;
    char text[129];
    for (int i = 0; i < 127; i++)
        text[i] = (char)(i + 1);
    strcpy(text + 127, "\"");
    struct buf b = {0};
    json_append_text(&b, text);
    json_t *parsed = json_loads(b.data, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    assert_string_equal(json_string_value(parsed), text);
    json_decref(parsed);
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

static void an_id_is_a_json_string(void **state) {
    (void)state;
    struct buf b = {0};
    struct uuid id;
    assert_true(uuid_parse("01939d4e-0000-7abc-8000-00000000ffff", &id));
    json_append_uuid(&b, &id);
    assert_string_equal(b.data, "\"01939d4e-0000-7abc-8000-00000000ffff\"");
    buf_free(&b);
}

static void test_money_and_times(void **state) {
    (void)state;
    struct buf b = {0};
    json_append_money(&b, 105997);
    buf_char(&b, ' ');
    json_append_money(&b, -5);
    buf_char(&b, ' ');
    json_append_time(&b, 1769847330123);
    assert_string_equal(b.data, "1059.97 -0.05 \"2026-01-31T08:15:30.123Z\"");
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending_grows_and_terminates),
        cmocka_unit_test(test_pieces_follow_each_other),
        cmocka_unit_test(test_printf_longer_than_the_room_left),
        cmocka_unit_test(test_take_hands_over_and_empties),
        cmocka_unit_test(test_failure_sticks_until_the_buffer_is_emptied),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_any_character_survives_a_json_parser),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(an_id_is_a_json_string),
        cmocka_unit_test(test_money_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
