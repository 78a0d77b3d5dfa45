/* When a breaker opens, tries and closes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/breaker.h"

#include "fakes/rows.h"

enum { LONGEST_MS = 6250 }; /* 5 s and the most of its jitter */

/* '+' a success, '-' a failure; the outcome of the last is returned. */
static bool play(struct breaker *b, const char *outcomes, int64_t now_ms) {
    bool opened = false;
    for (; *outcomes; outcomes++) {
        assert_true(breaker_allows(b, now_ms));
        opened = breaker_note(b, *outcomes == '+', now_ms);
    }
    return opened;
}

static void a_breaker_opens_when_half_of_enough_calls_fail(void **state) {
    (void)state;
    static const struct {
        const char *outcomes;
        bool opens; /* with the last of them */
    } cases[] = {
        {"-", false},
        {"---------", false},
        {"----------", true},
        {"+++++-----", true},
        {"++++++-----", false},
        {"++++++------", true},
        {"++++++++++++++++++++++++++++++---------", false}, /* the last 20 count */
        {"++++++++++++++++++++++++++++++----------", true},
        {"---------+++++++++++++++++++++---------", false}, /* what left the window is forgotten */
        {"-+-+-+-+-+", false},                              /* opens with a failure only */
        {"-+-+-+-+-+-", true},
    };
    for_each_row(i, cases, "%s", cases[i].outcomes) {
        struct breaker b = BREAKER_INIT;
        if (play(&b, cases[i].outcomes, 1) != cases[i].opens)
            fail_msg("%s", cases[i].outcomes);
        assert_int_equal(breaker_allows(&b, 1), !cases[i].opens);
    }
}

static struct breaker opened_at(int64_t now_ms) {
    struct breaker b = BREAKER_INIT;
    assert_true(play(&b, "----------", now_ms));
    return b;
}

static void a_breaker_stays_open_for_about_five_seconds(void **state) {
    (void)state;
    int64_t first = 0;
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        struct breaker b = opened_at(1000);
        int64_t now = 1000;
        while (!breaker_allows(&b, now))
            now++;
        assert_in_range(now - 1000, 3750, LONGEST_MS);
        differs |= first && now != first;
        first = now;
    }
    assert_true(differs);
}

static void three_successes_close_it(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(play(&b, "+++", LONGEST_MS));
    assert_false(play(&b, "---------", LONGEST_MS)); /* counts anew */
    assert_true(play(&b, "-", LONGEST_MS));
}

static void a_failure_while_trying_opens_it_again_and_is_no_new_outage(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(play(&b, "++-", LONGEST_MS));
    assert_false(breaker_allows(&b, LONGEST_MS));
    assert_true(breaker_allows(&b, 2 * LONGEST_MS));
}

/* Many threads wait for the part; three of them try it. */
static unsigned allowed_at(struct breaker *b, int64_t now_ms) {
    unsigned count = 0;
    for (int i = 0; i < 100; i++)
        count += breaker_allows(b, now_ms);
    return count;
}

static void three_calls_try_it_at_a_time(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_int_equal(allowed_at(&b, LONGEST_MS), 3);
    assert_false(breaker_note(&b, true, LONGEST_MS));
    assert_false(breaker_note(&b, true, LONGEST_MS));
    assert_int_equal(allowed_at(&b, LONGEST_MS), 0); /* the third has not told */
    assert_false(breaker_note(&b, true, LONGEST_MS));
    assert_int_equal(allowed_at(&b, LONGEST_MS), 100);
}

/* As a process without load, whose only calls are long polls. */
static void rare_successes_close_it_too(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    for (int64_t call = 1; call <= 3; call++) {
        assert_false(play(&b, "+", call * 20000));
        assert_int_equal(breaker_is_open(&b, call * 20000), call < 3);
    }
    assert_int_equal(allowed_at(&b, 60000), 100);
}

static void a_failure_between_rare_successes_opens_it_again(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(play(&b, "+", 20000));
    assert_false(play(&b, "+", 40000));
    assert_false(play(&b, "-", 60000));
    assert_false(breaker_allows(&b, 60000));
    for (int64_t call = 4; call <= 5; call++)
        assert_false(play(&b, "+", call * 20000));
    assert_true(breaker_is_open(&b, 100000)); /* they count anew */
}

static void a_breaker_that_nobody_asks_is_not_open_for_long(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_true(breaker_is_open(&b, 3749));
    assert_false(breaker_is_open(&b, LONGEST_MS)); /* the next call is tried */
    assert_true(breaker_allows(&b, LONGEST_MS));
    assert_true(breaker_is_open(&b, LONGEST_MS)); /* and a few others */
    assert_false(breaker_is_open(&b, 2 * LONGEST_MS));
}

static void trials_that_never_tell_hold_nobody_back(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    assert_int_equal(allowed_at(&b, LONGEST_MS), 3);
    assert_int_equal(allowed_at(&b, 2 * LONGEST_MS), 3);
    for (int i = 0; i < 3; i++)
        assert_false(breaker_note(&b, true, 2 * LONGEST_MS));
    assert_int_equal(allowed_at(&b, 2 * LONGEST_MS), 100);
}

static void calls_begun_before_it_opened_neither_close_it_nor_keep_it_open(void **state) {
    (void)state;
    struct breaker b = opened_at(0);
    for (int i = 0; i < 3; i++)
        assert_false(breaker_note(&b, true, 1));
    assert_int_equal(allowed_at(&b, 1), 0);
    assert_false(breaker_note(&b, false, LONGEST_MS - 1));
    assert_int_equal(allowed_at(&b, LONGEST_MS), 3);
}

struct caller {
    pthread_t thread;
    struct breaker *breaker;
    unsigned opened;
};

static void *fail_often(void *arg) {
    struct caller *c = arg;
    for (int i = 0; i < 1000; i++)
        if (breaker_allows(c->breaker, i / 100))
            c->opened += breaker_note(c->breaker, false, i / 100);
    return NULL;
}

static void a_breaker_opens_once_for_all_threads(void **state) {
    (void)state;
    struct breaker b = BREAKER_INIT;
    struct caller callers[8] = {0};
    unsigned opened = 0;
    for (size_t i = 0; i < 8; i++) {
        callers[i].breaker = &b;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, fail_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(callers[i].thread, NULL);
        opened += callers[i].opened;
    }
    assert_int_equal(opened, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_opens_when_half_of_enough_calls_fail),
        cmocka_unit_test(a_breaker_stays_open_for_about_five_seconds),
        cmocka_unit_test(three_successes_close_it),
        cmocka_unit_test(a_failure_while_trying_opens_it_again_and_is_no_new_outage),
        cmocka_unit_test(three_calls_try_it_at_a_time),
        cmocka_unit_test(rare_successes_close_it_too),
        cmocka_unit_test(a_failure_between_rare_successes_opens_it_again),
        cmocka_unit_test(a_breaker_that_nobody_asks_is_not_open_for_long),
        cmocka_unit_test(trials_that_never_tell_hold_nobody_back),
        cmocka_unit_test(calls_begun_before_it_opened_neither_close_it_nor_keep_it_open),
        cmocka_unit_test(a_breaker_opens_once_for_all_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
