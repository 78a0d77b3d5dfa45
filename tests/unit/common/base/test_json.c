/* Documents from outside: what is read, what is refused, and what the refusal says. */
#include "common/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void members_of_an_object_are_found(void **state) {
    (void)state;
    static const char text[] = "{\"name\":\"gr\\u00fc\\u00dfe \\\"[{\",\"number\":1,\"nothing\":null}";
    char error[JSON_ERROR_SIZE];
    json_t *object = json_parse_object(text, strlen(text), error);
    assert_non_null(object);
    assert_string_equal(json_member_string(object, "name"), "gr\xc3\xbc\xc3\x9f"
                                                            "e \"[{");
    assert_null(json_member_string(object, "number"));
    assert_null(json_member_string(object, "nothing"));
    assert_null(json_member_string(object, "missing"));
    assert_null(json_member_string(NULL, "name"));
    json_decref(object);
}

static void only_len_bytes_are_read(void **state) {
    (void)state;
    char error[JSON_ERROR_SIZE];
    json_t *object = json_parse_object("{}garbage", 2, error);
    assert_non_null(object);
    json_decref(object);
}

/* What a double would make of a number is not what was sent. */
static void a_number_that_would_be_rounded_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *number;
        bool read;
    } rows[] = {
        {"19.999999999999999999", false},
        {"0.99999999999999999999", false},
        {"1.0000000000000000000000001", false},
        {"-19.999999999999999999", false},
        {"1999999999999999999e-17", false},
        {"123456789012345.6", false},
        {"0.1234567890123456", false},
        {"100000000000000000001.0", false},
        {"1e400", false},
        {"1e99999999999999999999", false},
        {"99999999999999999999", false}, /* an integer that fits in no 64 bits */
        {"19.99", true},
        {"19.990000000000000000000000", true},
        {"0.00000000000000000000001", true},
        {"123456789012345.0", true},
        {"12345678901234.5", true},
        {"9223372036854775807", true}, /* an integer is not rounded */
        {"1E0", true},
        {"1e-9", true},
        {"-0", true},
        {"-0.0", true},
        {"100e1", true},
    };
    for_each_row(i, rows, "%s", rows[i].number) {
        char text[128], error[JSON_ERROR_SIZE];
        int len = snprintf(text, sizeof text, "{\"s\":\"1.00000000000000000001\",\"a\":[1,{\"n\":%s}]}",
                           rows[i].number);
        json_t *object = json_parse_object(text, (size_t)len, error);
        assert_int_equal(object != NULL, rows[i].read);
        json_decref(object);
    }
}

static void what_is_refused_is_told_why(void **state) {
    (void)state;
#define TEXT(text) text, sizeof text - 1
    static const struct {
        const char *text;
        size_t len;
        const char *reason; /* a part of it */
    } cases[] = {
        {TEXT(""), "empty"},
        {TEXT("  "), "line 1"},
        {TEXT("[]"), "not an object"},
        {TEXT("\"text\""), "expected"},
        {TEXT("12"), "expected"},
        {TEXT("null"), "expected"},
        {TEXT("{"), "line 1"},
        {TEXT("{\"a\":1,}"), "expected"},
        {TEXT("{\n\"a\":}"), "line 2"},
        {TEXT("{'a':1}"), "expected"},
        {TEXT("{\"a\":1,\"a\":2}"), "duplicate"},
        {TEXT("{\"a\":1}{}"), "end of file"},
        {TEXT("{\"a\":1}\0"), "end of file"},
        {TEXT("{\"a\":\"\\u0000\"}"), "line 1"},
        {TEXT("{\"a\\u0000\":1}"), "line 1"},
        {TEXT("{\"a\":\"\0\"}"), "line 1"},
        {TEXT("{\"a\":\"\n\"}"), "unexpected newline"},
        {TEXT("{\"a\":\"\xff\"}"), "decode"},
        {TEXT("{\"a\":\"\xc3\"}"), "decode"},
        {TEXT("{\"a\":\"\xc0\xaf\"}"), "decode"},
        {TEXT("{\"a\":\"\\ud800\"}"), "line 1"},
        {TEXT("{\"a\":NaN}"), "line 1"},
        {TEXT("{\"a\":1e999}"), "line 1"},
        {TEXT("{\"a\":9223372036854775808}"), "integer"},
        {TEXT("{\"a\":01}"), "line 1"},
        {TEXT("\xef\xbb\xbf{}"), "line 1"},
    };
    for_each_row(i, cases, "%s", cases[i].text) {
        char error[JSON_ERROR_SIZE] = "";
        assert_null(json_parse_object(cases[i].text, cases[i].len, error));
        if (!strstr(error, cases[i].reason))
            fail_msg("%s: '%s' does not say '%s'", cases[i].text, error, cases[i].reason);
    }
}

/* The reason goes into replies and logs, and quotes what the caller sent. */
static void reasons_are_printable_lines(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"a\":\n\x1b[31mred}",
        "{\"a\" \xc3\xbc\xc3\xbc}",
        "{\"\x7f\xe2\x82\xac\":1,\"\x7f\xe2\x82\xac\":1}",
    };
    for_each_row(i, texts, "%s", texts[i]) {
        char error[JSON_ERROR_SIZE] = "";
        assert_null(json_parse_object(texts[i], strlen(texts[i]), error));
        assert_true(error[0] != '\0');
        for (const char *c = error; *c; c++)
            assert_in_range(*c, ' ', '~');
    }
}

/* {"a":[[...]]} with depth brackets in all, the object's included. */
static size_t nest(char *text, size_t depth) {
    strcpy(text, "{\"a\":");
    memset(text + 5, '[', depth - 1);
    memset(text + 4 + depth, ']', depth - 1);
    strcpy(text + 3 + 2 * depth, "}");
    return strlen(text);
}

static void nesting_is_bounded(void **state) {
    (void)state;
    static char text[300000];
    char error[JSON_ERROR_SIZE];

    json_t *object = json_parse_object(text, nest(text, JSON_MAX_DEPTH), error);
    assert_non_null(object);
    json_decref(object);
    assert_null(json_parse_object(text, nest(text, JSON_MAX_DEPTH + 1), error));
    assert_string_equal(error, "nested deeper than 32 levels");
    assert_null(json_parse_object(text, nest(text, 100000), error));
    assert_string_equal(error, "nested deeper than 32 levels");
}

static void brackets_in_strings_and_in_sequence_do_not_nest(void **state) {
    (void)state;
    char error[JSON_ERROR_SIZE], text[2000] = "{\"a\":\"\\\\\\\"";
    for (int i = 0; i < 100; i++)
        strcat(text, "[{");
    strcat(text, "\",\"b\":[");
    for (int i = 0; i < 100; i++)
        strcat(text, "[],{},");
    strcat(text, "1]}");
    json_t *object = json_parse_object(text, strlen(text), error);
    assert_non_null(object);
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_an_object_are_found),
        cmocka_unit_test(only_len_bytes_are_read),
        cmocka_unit_test(a_number_that_would_be_rounded_is_refused),
        cmocka_unit_test(what_is_refused_is_told_why),
        cmocka_unit_test(reasons_are_printable_lines),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(brackets_in_strings_and_in_sequence_do_not_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
