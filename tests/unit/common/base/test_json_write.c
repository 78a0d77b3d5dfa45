/* JSON written value by value. */
#include "common/base/json_write.h"
#include "common/base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "fakes/rows.h"

static void a_text_is_a_json_string(void **state) {
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
    for_each_row(i, cases, "%s", cases[i].json) {
        struct buf b = {0};
        json_append_text(&b, cases[i].text);
        assert_string_equal(b.data, cases[i].json);
        buf_free(&b);
    }
}

static void any_character_survives_a_json_parser(void **state) {
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

static void an_id_is_a_json_string(void **state) {
    (void)state;
    struct buf b = {0};
    struct uuid id;
    assert_true(uuid_parse("01939d4e-0000-7abc-8000-00000000ffff", &id));
    json_append_uuid(&b, &id);
    assert_string_equal(b.data, "\"01939d4e-0000-7abc-8000-00000000ffff\"");
    buf_free(&b);
}

static void money_and_times_are_json(void **state) {
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

/* Then a reply that is not whole is never sent. */
static void a_buffer_that_failed_stays_as_it_is(void **state) {
    (void)state;
    struct buf b = {.failed = true};
    const struct uuid id = {{1}};
    json_append_text(&b, "a\n");
    json_append_uuid(&b, &id);
    json_append_money(&b, 1);
    json_append_time(&b, 1);
    assert_null(b.data);
    assert_true(b.failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_a_json_string),
        cmocka_unit_test(any_character_survives_a_json_parser),
        cmocka_unit_test(an_id_is_a_json_string),
        cmocka_unit_test(money_and_times_are_json),
        cmocka_unit_test(a_buffer_that_failed_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
