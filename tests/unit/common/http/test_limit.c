/* How often somebody may: the quota, its return, a table under attack, threads. */
#include "common/http/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "fakes/rows.h"

enum { THREADS = 4, MILLION = 1000000 };

static const int64_t start_ms = 123456789;

static struct limit *new_limit(int64_t quota, int64_t window_s) {
    struct limit *limit =
        limit_new(&(struct limit_policy){.name = "test", .quota = quota, .window_s = window_s});
    assert_non_null(limit);
    return limit;
}

static struct limit_state take(struct limit *limit, const char *key, int64_t now_ms) {
    return limit_take(limit, key, strlen(key), now_ms);
}

static struct limit_state look(struct limit *limit, const char *key, int64_t now_ms) {
    return limit_look(limit, key, strlen(key), now_ms);
}

/* How often the key is allowed at this time, of so many attempts. */
static int allowed(struct limit *limit, const char *key, int64_t now_ms, int attempts) {
    int count = 0;
    while (attempts-- > 0)
        count += !take(limit, key, now_ms).refused;
    return count;
}

static void the_quota_is_given_at_once_then_evenly(void **state) {
    (void)state;
    static const struct {
        int64_t after_ms;
        int attempts, allowed;
    } steps[] = {
        {0, 15, 10},   {5999, 3, 0},  {6000, 3, 1},     {11999, 3, 0},
        {12000, 3, 1}, {30000, 9, 3}, {600000, 15, 10},
    };
    struct limit *limit = new_limit(10, 60);
    for_each_row(i, steps, "after %lld ms", (long long)steps[i].after_ms) {
        assert_int_equal(allowed(limit, "a", start_ms + steps[i].after_ms, steps[i].attempts),
                         steps[i].allowed);
    }
    limit_free(limit);
}

static void what_is_left_is_told(void **state) {
    (void)state;
    struct limit *limit = new_limit(3, 30);
    for (int left = 2; left >= 0; left--) {
        struct limit_state s = take(limit, "a", start_ms);
        assert_false(s.refused);
        assert_string_equal(s.policy->name, "test");
        assert_int_equal(s.left, left);
        assert_int_equal(s.wait_ms, 10000);
    }
    struct limit_state s = take(limit, "a", start_ms + 4000);
    assert_true(s.refused);
    assert_int_equal(s.left, 0);
    assert_int_equal(s.wait_ms, 6000);
    s = take(limit, "a", start_ms + 14000);
    assert_false(s.refused);
    assert_int_equal(s.left, 0);
    assert_int_equal(s.wait_ms, 6000);
    limit_free(limit);
}

/* Whoever waits for what it is told is not refused; a millisecond less is too early. */
static void the_wait_is_exact(void **state) {
    (void)state;
    static const struct {
        int64_t quota, window_s;
    } cases[] = {{1, 1}, {3, 1}, {7, 60}, {1000, 1}, {999, 60}, {1, 86400}};
    for_each_row(i, cases, "%lld in %lld s", (long long)cases[i].quota, (long long)cases[i].window_s) {
        struct limit *limit = new_limit(cases[i].quota, cases[i].window_s);
        int64_t now = start_ms;
        assert_int_equal(allowed(limit, "a", now, (int)cases[i].quota + 5), cases[i].quota);
        for (int repeat = 0; repeat < 100; repeat++) {
            struct limit_state s = look(limit, "a", now);
            assert_true(s.refused);
            assert_true(s.wait_ms > 0);
            now += s.wait_ms;
            assert_true(look(limit, "a", now - 1).refused);
            assert_false(take(limit, "a", now).refused);
        }
        limit_free(limit);
    }
}

static void keys_are_apart(void **state) {
    (void)state;
    struct limit *limit = new_limit(2, 60);
    assert_int_equal(allowed(limit, "a", start_ms, 5), 2);
    assert_int_equal(allowed(limit, "b", start_ms, 5), 2);
    assert_int_equal(allowed(limit, "", start_ms, 5), 2);
    limit_free(limit);
}

static void looking_counts_nothing(void **state) {
    (void)state;
    struct limit *limit = new_limit(2, 60);
    for (int i = 0; i < 10; i++) {
        assert_false(look(limit, "a", start_ms).refused);
        assert_int_equal(look(limit, "a", start_ms).left, 2);
    }
    assert_int_equal(allowed(limit, "a", start_ms, 5), 2);
    assert_true(look(limit, "a", start_ms).refused);
    limit_free(limit);
}

static void what_has_happened_counts(void **state) {
    (void)state;
    struct limit *limit = new_limit(3, 60);
    for (int i = 0; i < 3; i++) {
        assert_false(look(limit, "a", start_ms).refused);
        limit_count(limit, "a", 1, start_ms);
    }
    assert_true(look(limit, "a", start_ms).refused);
    limit_count(limit, "a", 1, start_ms);
    assert_int_equal(look(limit, "a", start_ms).wait_ms, 20000);
    assert_false(look(limit, "a", start_ms + 20000).refused);
    limit_free(limit);
}

static void a_quota_of_zero_is_no_limit(void **state) {
    (void)state;
    struct limit *limit = new_limit(0, 60);
    for (int i = 0; i < 1000; i++) {
        struct limit_state s = take(limit, "a", start_ms);
        assert_false(s.refused);
        assert_null(s.policy);
    }
    limit_free(limit);
    limit_free(NULL);
}

static void refusals_are_reported_once_a_minute(void **state) {
    (void)state;
    struct limit *limit = new_limit(1, 86400);
    assert_int_equal(take(limit, "a", start_ms).report, 0);
    assert_int_equal(take(limit, "a", start_ms).report, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(limit, "a", start_ms + 59999).report, 0);
    assert_int_equal(take(limit, "a", start_ms + 60000).report, 11);
    assert_int_equal(take(limit, "a", start_ms + 60000).report, 0);
    limit_free(limit);
}

/* A clock that is read on another thread may be a little behind. */
static void time_may_step_back(void **state) {
    (void)state;
    struct limit *limit = new_limit(2, 2);
    assert_int_equal(allowed(limit, "a", start_ms, 2), 2);
    struct limit_state s = take(limit, "a", start_ms - 5);
    assert_true(s.refused);
    assert_int_equal(s.left, 0);
    assert_int_equal(s.wait_ms, 1005);
    limit_free(limit);
}

static int64_t memory_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Neither does the table grow under such an attack, nor does it hide one that comes again and again. */
static void a_million_addresses_do_not_push_out_the_busy_one(void **state) {
    (void)state;
    struct limit *limit = new_limit(100, 60);
    int abuses = 0;
    int64_t before = memory_kib();
    for (uint32_t address = 0; address < MILLION; address++) {
        int64_t now = start_ms + address / 1000;
        assert_false(limit_take(limit, &address, sizeof address, now).refused);
        if (address % 100 == 0)
            abuses += !take(limit, "abuser", now).refused;
    }
    assert_int_equal(abuses, 101); /* the quota, and what came back within the second */
    assert_in_range(memory_kib() - before, 0, MILLION * 16 / 1024); /* a sanitizer has a share in it */
    limit_free(limit);
}

static void what_was_given_back_may_be_taken_again(void **state) {
    (void)state;
    struct limit *limit = new_limit(3, 60);
    for (int i = 0; i < 100; i++) {
        assert_false(take(limit, "a", start_ms).refused);
        assert_int_equal(limit_give_back(limit, "a", 1, start_ms).left, 3);
    }
    for (int i = 0; i < 3; i++)
        assert_false(take(limit, "a", start_ms).refused);
    assert_true(take(limit, "a", start_ms).refused);
    struct limit_state state_after = limit_give_back(limit, "a", 1, start_ms);
    assert_false(state_after.refused);
    assert_int_equal(state_after.left, 1);
    assert_false(take(limit, "a", start_ms).refused);
    limit_free(limit);
}

/* Time may have given it back already, or the key may have been evicted: the quota is never more than whole. */
static void no_more_is_given_back_than_was_taken(void **state) {
    (void)state;
    struct limit *limit = new_limit(2, 60);
    assert_int_equal(limit_give_back(limit, "a", 1, start_ms).left, 2);
    assert_false(take(limit, "a", start_ms).refused);
    assert_int_equal(limit_give_back(limit, "a", 1, start_ms + 29000).left, 2);
    assert_int_equal(limit_give_back(limit, "a", 1, start_ms + 29000).left, 2);
    for (int i = 0; i < 2; i++)
        assert_false(take(limit, "a", start_ms + 29000).refused);
    assert_true(take(limit, "a", start_ms + 29000).refused);
    limit_free(limit);
}

struct contest {
    struct limit *limit;
    atomic_int threads, shared, own;
};

static void *contend(void *arg) {
    struct contest *contest = arg;
    char own[] = {(char)('a' + contest->threads++), '\0'};
    for (int i = 0; i < 20000; i++) {
        contest->shared += !take(contest->limit, "shared", start_ms).refused;
        contest->own += !take(contest->limit, own, start_ms).refused;
    }
    return NULL;
}

static void threads_share_the_quota(void **state) {
    (void)state;
    struct contest contest = {.limit = new_limit(1000, 60)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contest), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(contest.shared, 1000);
    assert_int_equal(contest.own, THREADS * 1000);
    limit_free(contest.limit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quota_is_given_at_once_then_evenly),
        cmocka_unit_test(what_is_left_is_told),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(keys_are_apart),
        cmocka_unit_test(looking_counts_nothing),
        cmocka_unit_test(what_has_happened_counts),
        cmocka_unit_test(what_was_given_back_may_be_taken_again),
        cmocka_unit_test(no_more_is_given_back_than_was_taken),
        cmocka_unit_test(a_quota_of_zero_is_no_limit),
        cmocka_unit_test(refusals_are_reported_once_a_minute),
        cmocka_unit_test(time_may_step_back),
        cmocka_unit_test(a_million_addresses_do_not_push_out_the_busy_one),
        cmocka_unit_test(threads_share_the_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
