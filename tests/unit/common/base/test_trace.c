/* Which traces are carried on, and what a new one looks like. */
#include "common/base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void valid_parents_are_carried_on(void **state) {
    (void)state;
    static const struct {
        const char *incoming, *adopted;
    } cases[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
        {"00-00000000000000000000000000000001-0000000000000001-01",
         "00-00000000000000000000000000000001-0000000000000001-01"},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-bring",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    };
    for_each_row(i, cases, "%s", cases[i].incoming) {
        char out[TRACEPARENT_SIZE];
        assert_true(trace_valid(cases[i].incoming));
        trace_adopt(cases[i].incoming, out);
        assert_string_equal(out, cases[i].adopted);
    }
}

static void anything_else_starts_a_new_trace(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "0",
        "hello",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c\n-b7ad6b716920333-01",
    };
    for_each_row(i, cases, "%s", cases[i]) {
        char out[TRACEPARENT_SIZE];
        assert_false(trace_valid(cases[i]));
        trace_adopt(cases[i], out);
        assert_true(trace_valid(out));
        assert_string_not_equal(out, cases[i]);
    }
}

static void new_traces_are_valid_and_differ(void **state) {
    (void)state;
    char first[TRACEPARENT_SIZE], second[TRACEPARENT_SIZE];
    trace_adopt(NULL, first);
    trace_adopt(NULL, second);
    assert_true(trace_valid(first));
    assert_true(trace_valid(second));
    assert_memory_equal(first, "00-", 3);
    assert_string_equal(first + 52, "-01");
    assert_memory_not_equal(first + 3, second + 3, 32);
    assert_memory_not_equal(first + 36, second + 36, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_parents_are_carried_on),
        cmocka_unit_test(anything_else_starts_a_new_trace),
        cmocka_unit_test(new_traces_are_valid_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
