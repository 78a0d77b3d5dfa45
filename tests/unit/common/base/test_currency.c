/* Currencies: which there are, how many decimals they have, and how amounts are written. */
#include "common/base/currency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/rows.h"

static void currencies_have_their_decimals(void **state) {
    (void)state;
    static const struct {
        const char *code;
        int decimals;
        bool supported;
    } cases[] = {
        {"USD", 2, true},
        {"AED", 2, true},
        {"ZWG", 2, true},
        {"EUR", 2, true},
        {"JPY", 0, true},
        {"KRW", 0, true},
        {"CLP", 0, true},
        {"VND", 0, true},
        {"XPF", 0, true},
        {"BHD", 3, false},
        {"KWD", 3, false},
        {"TND", 3, false},
        {"CLF", 4, false},
        {"XAU", CURRENCY_UNKNOWN, false}, /* gold */
        {"XTS", CURRENCY_UNKNOWN, false}, /* for tests */
        {"DEM", CURRENCY_UNKNOWN, false}, /* no longer in use */
        {"HRK", CURRENCY_UNKNOWN, false},
        {"usd", CURRENCY_UNKNOWN, false},
        {"", CURRENCY_UNKNOWN, false},
        {"US", CURRENCY_UNKNOWN, false},
        {"USDE", CURRENCY_UNKNOWN, false},
        {"SD ", CURRENCY_UNKNOWN, false}, /* between two of the table */
        {"D A", CURRENCY_UNKNOWN, false},
    };
    for_each_row(i, cases, "'%s'", cases[i].code) {
        assert_int_equal(currency_decimals(cases[i].code), cases[i].decimals);
        assert_int_equal(currency_is_supported(cases[i].code), cases[i].supported);
    }
}

static void amounts_have_the_decimals_of_their_currency(void **state) {
    (void)state;
    static const struct {
        const char *code;
        int64_t cents;
        const char *text;
    } cases[] = {
        {"USD", 105997, "1059.97"}, {"USD", 150000, "1500.00"},          {NULL, 150000, "1500.00"},
        {"JPY", 150000, "1500"},    {"JPY", 999999999900, "9999999999"}, {"JPY", 0, "0"},
        {"JPY", 150050, "1500.50"}, /* never accepted; but what is written is never another amount */
    };
    for_each_row(i, cases, "%s", cases[i].text) {
        struct buf out = {0};
        currency_append(&out, cases[i].code, cases[i].cents);
        assert_string_equal(out.data, cases[i].text);
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currencies_have_their_decimals),
        cmocka_unit_test(amounts_have_the_decimals_of_their_currency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
