/* Which traces are carried on, and what a new one looks like. */
#include "common/base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

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

#define SAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X32 X32 X32 X32
#define X256 X128 X128

static const struct {
    const char *text, *kept;
} states[] = {
    {"", ""},
    {"a=1", "a=1"},
    {"a=1,b=2", "a=1,b=2"},
    {" \ta=1 ,, b=2\t,", "a=1,b=2"},
    {"foo@bar=1,0a_-*/=x y", "foo@bar=1,0a_-*/=x y"},
    {",,", ""},
    {"a", ""},
    {"a=", ""},
    {"=1", ""},
    {"A=1", ""},
    {"a=1,b", ""},
    {"a=1=2", ""},
    {"a b=1", ""},
    {"a=\001", ""},
    {"a=\303\244", ""},
    {"a=" X256, "a=" X256},
    {"a=" X256 "x", ""},
    {"a=" X256 ",b=1,c=" X256 ",d=2", "b=1,d=2"}, /* the long ones leave first */
    {"a=1,b=" X32 X32 X32 ",c=" X32 X32 X32 ",d=" X32 X32 X32 ",e=" X32 X32 X32 ",f=" X32 X32 X32 ",g=1",
     "a=1,b=" X32 X32 X32 ",c=" X32 X32 X32 ",d=" X32 X32 X32 ",e=" X32 X32 X32 ",f=" X32 X32 X32 ",g=1"},
    {"a=1,b=" X32 X32 X32 "0123456789ab,c=" X32 X32 X32 ",d=" X32 X32 X32 ",e=" X32 X32 X32 ",f=" X32 X32 X32
     ",g=1",
     "a=1,b=" X32 X32 X32 "0123456789ab,c=" X32 X32 X32 ",d=" X32 X32 X32 ",e=" X32 X32 X32
     ",f=" X32 X32 X32},
};

static void a_tracestate_is_kept_or_dropped(void **state) {
    (void)state;
    for_each_row(i, states, "%s", states[i].text) {
        char out[TRACESTATE_SIZE];
        trace_state_clean(states[i].text, out);
        assert_string_equal(out, states[i].kept);
    }
}

static void a_tracestate_has_32_entries_at_most(void **state) {
    (void)state;
    char text[512] = "", out[TRACESTATE_SIZE];
    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), 16, "%sk%d=1", i ? "," : "", i);
    trace_state_clean(text, out);
    assert_string_equal(out, text);
    strcat(text, ",last=1");
    trace_state_clean(text, out);
    assert_string_equal(out, "");
}

static void a_trace_has_two_halves(void **state) {
    (void)state;
    char out[TRACE_SIZE];
    trace_join(SAMPLED, "", out);
    assert_string_equal(out, SAMPLED);
    assert_string_equal(trace_state(out), "");
    trace_join(SAMPLED " old=1", "a=1,b=2", out);
    assert_string_equal(out, SAMPLED " a=1,b=2");
    assert_string_equal(trace_state(out), "a=1,b=2");
    assert_true(trace_is_recorded(out) && trace_is_recorded(SAMPLED));
    assert_false(trace_is_recorded(NULL) || trace_is_recorded("") || trace_is_recorded(SAMPLED "x"));
    assert_false(trace_is_recorded("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
}

static void a_thread_has_a_current_trace(void **state) {
    (void)state;
    assert_null(trace_current());
    trace_set_current(SAMPLED " a=1");
    assert_string_equal(trace_current(), SAMPLED);
    trace_set_current("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    assert_null(trace_current());
    trace_set_current(SAMPLED);
    trace_set_current(NULL);
    assert_null(trace_current());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_parents_are_carried_on),
        cmocka_unit_test(anything_else_starts_a_new_trace),
        cmocka_unit_test(new_traces_are_valid_and_differ),
        cmocka_unit_test(a_tracestate_is_kept_or_dropped),
        cmocka_unit_test(a_tracestate_has_32_entries_at_most),
        cmocka_unit_test(a_trace_has_two_halves),
        cmocka_unit_test(a_thread_has_a_current_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
