/* The words of "order-svc erase", and what takes a customer's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/erasure.h"

#include <string.h>

#include "fakes/rows.h"

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "01234"

static bool parse(const char *const words[], struct erasure_options *out, const char **fault) {
    int n = 0;
    while (words[n])
        n++;
    return erasure_options_parse(n, words, out, fault);
}

static void good_words_are_read(void **state) {
    (void)state;
    struct erasure_options options;
    const char *fault;
    assert_true(parse((const char *const[]){"erase", "--customer", "c-1", NULL}, &options, &fault));
    assert_null(fault);
    assert_string_equal(options.customer, "c-1");
    assert_null(options.client);
    assert_null(options.actor);
    assert_false(options.repeat);
    assert_true(parse(
        (const char *const[]){"erase", "--actor", "me", "--client", "shop", "--customer", "--client", NULL},
        &options, &fault));
    assert_string_equal(options.customer, "--client");
    assert_string_equal(options.client, "shop");
    assert_string_equal(options.actor, "me");
    assert_true(parse((const char *const[]){"erase", "--customer", LONGEST, NULL}, &options, &fault));
    assert_true(parse((const char *const[]){"erase", "--customer", "-", NULL}, &options, &fault));
    assert_true(parse((const char *const[]){"erase", "--repeat", NULL}, &options, &fault));
    assert_true(options.repeat);
}

static void wrong_words_are_told(void **state) {
    (void)state;
    static const struct {
        const char *words[6]; /* NULL ends them */
        const char *fault;
    } cases[] = {
        {{"erase"}, "--customer"},
        {{"erase", "--customer"}, "no value"},
        {{"erase", "--customer", ""}, "customer's id"},
        {{"erase", "--customer", "a\nb"}, "customer's id"},
        {{"erase", "--customer", LONGEST "x"}, "customer's id"},
        {{"erase", "--customer", "\xff"}, "customer's id"},
        {{"erase", "--customer", "a", "--customer", "b"}, "twice"},
        {{"erase", "--client", "a"}, "--customer"},
        {{"erase", "--customer", "a", "--client", ""}, "client's id"},
        {{"erase", "--customer", "a", "--actor", "\x01"}, "actor"},
        {{"erase", "a"}, "no such option"},
        {{"erase", "--customers", "a"}, "no such option"},
        {{"erase", "--repeat", "--actor", "a"}, "alone"},
    };
    for_each_row(i, cases, "%s", cases[i].fault) {
        struct erasure_options options;
        const char *fault = NULL;
        assert_false(parse(cases[i].words, &options, &fault));
        assert_non_null(fault);
        assert_non_null(strstr(fault, cases[i].fault));
    }
}

static void a_replacement_is_the_clients_and_the_keys(void **state) {
    (void)state;
    struct erasure_key key = {{1}}, other = {{2}};
    char first[ERASURE_REPLACEMENT_SIZE], again[ERASURE_REPLACEMENT_SIZE];
    erasure_replacement(&key, "shop", first);
    erasure_replacement(&key, "shop", again);
    assert_string_equal(first, again);
    assert_int_equal(strlen(first), ERASURE_REPLACEMENT_SIZE - 1);
    assert_memory_equal(first, "erased-", 7);
    assert_int_equal(strspn(first + 7, "0123456789abcdef"), 32);
    erasure_replacement(&key, "shop-2", again);
    assert_string_not_equal(first, again);
    erasure_replacement(&other, "shop", again);
    assert_string_not_equal(first, again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_words_are_read),
        cmocka_unit_test(wrong_words_are_told),
        cmocka_unit_test(a_replacement_is_the_clients_and_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
