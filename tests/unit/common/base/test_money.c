/* Amounts are read exactly or refused. */
#include "common/base/money.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/rows.h"

#define UNTOUCHED 4711
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool from_json(const char *json, int64_t *cents) {
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    bool ok = money_from_json(value, cents);
    json_decref(value);
    return ok;
}

static void json_numbers_have_two_decimals(void **state) {
    (void)state;
    static const struct {
        const char *json;
        int64_t cents;
    } cases[] = {
        {"0", 0},
        {"0.0", 0},
        {"-0.0", 0},
        {"12", 1200},
        {"12.0", 1200},
        {"999.99", 99999},
        {"29.990", 2999},
        {"1e2", 10000},
        {"1.5E-1", 15},
        {"0.01", 1},
        {"0.29", 29},
        {"1.15", 115},
        {"-0.05", -5},
        {"-1059.97", -105997},
        {"99999999999.99", 9999999999999},
        {"-99999999999.99", -9999999999999},
        {"99999999999", 9999999999900},
    };
    for_each_row(i, cases, "%s", cases[i].json) {
        int64_t cents = UNTOUCHED;
        assert_true(from_json(cases[i].json, &cents));
        assert_true(cents == cases[i].cents);
    }
}

static void other_json_values_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "0.001",
        "19.999",
        "0.005",
        "1.005",
        "29.9900001",
        "1e-3",
        "-0.015",
        "100000000000",
        "-100000000000",
        "100000000000.0",
        "99999999999.995",
        "1e300",
        "-1e300",
        "9223372036854775807",
        "-9223372036854775808",
        "\"12.00\"",
        "true",
        "null",
        "[1]",
        "{}",
    };
    for_each_row(i, cases, "%s", cases[i]) {
        int64_t cents = UNTOUCHED;
        assert_false(from_json(cases[i], &cents));
        assert_int_equal(cents, UNTOUCHED);
    }
    int64_t cents;
    assert_false(money_from_json(NULL, &cents));
}

/* Every amount survives the wire: written with two decimals, parsed as a double, and back. */
static void written_amounts_read_back(void **state) {
    (void)state;
    char text[MONEY_TEXT_SIZE];
    for (int64_t cents = 1; cents < 9999999999999; cents += 1 + cents / 997) {
        int64_t from_text = 0, from_wire = 0;
        money_format(cents, text);
        assert_true(money_parse(text, &from_text));
        assert_true(from_text == cents);
        assert_true(from_json(text, &from_wire));
        assert_true(from_wire == cents);
    }
}

static void texts_of_postgresql_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t cents;
    } cases[] = {
        {"1059.97", 105997},
        {"0.00", 0},
        {"12", 1200},
        {"-0.05", -5},
        {"-7", -700},
        {"92233720368547758.07", INT64_MAX},
        {"-92233720368547758.08", INT64_MIN},
    };
    for_each_row(i, cases, "%s", cases[i].text) {
        int64_t cents = UNTOUCHED;
        assert_true(money_parse(cases[i].text, &cents));
        assert_true(cents == cases[i].cents);
    }
}

static void other_texts_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "-",
        ".",
        ".50",
        "1.",
        "1.5",
        "1.555",
        "1.5x",
        "+1",
        "--1",
        " 1.00",
        "1.00 ",
        "1,00",
        "1.0.0",
        "NaN",
        "1e2",
        "1.-5",
        "12-3",
        "0x1",
        "92233720368547758.08",
        "-92233720368547758.09",
        "92233720368547759",
        "99999999999999999999",
    };
    for_each_row(i, cases, "%s", cases[i]) {
        int64_t cents = UNTOUCHED;
        assert_false(money_parse(cases[i], &cents));
        assert_int_equal(cents, UNTOUCHED);
    }
}

static void amounts_are_written_with_two_decimals(void **state) {
    (void)state;
    static const struct {
        int64_t cents;
        const char *text;
    } cases[] = {
        {0, "0.00"},
        {5, "0.05"},
        {-5, "-0.05"},
        {105997, "1059.97"},
        {-120000, "-1200.00"},
        {INT64_MAX, "92233720368547758.07"},
        {INT64_MIN, "-92233720368547758.08"},
    };
    for_each_row(i, cases, "%s", cases[i].text) {
        char text[MONEY_TEXT_SIZE];
        money_format(cases[i].cents, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void sums_never_overflow(void **state) {
    (void)state;
    int64_t total = 99999;
    assert_true(money_add(&total, 2999, 2));
    assert_int_equal(total, 105997);
    assert_false(money_add(&total, INT64_MAX / 2, 3));
    assert_false(money_add(&total, INT64_MAX, 1));
    assert_int_equal(total, 105997);
    assert_true(money_add(&total, INT64_MAX - 105997, 1));
    assert_true(total == INT64_MAX);
    assert_false(money_add(&total, 1, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_numbers_have_two_decimals),
        cmocka_unit_test(other_json_values_are_refused),
        cmocka_unit_test(written_amounts_read_back),
        cmocka_unit_test(texts_of_postgresql_are_read),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(amounts_are_written_with_two_decimals),
        cmocka_unit_test(sums_never_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
