/* How long to wait after a failure, and how many retries are made at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/backoff.h"
#include "common/base/retry_budget.h"

enum { BASE_MS = 100, CAP_MS = 5000, DRAWS = 20000 };

/* Draws at failures fill 1..limit: none lies outside, and each tenth of it gets its share. */
static void assert_uniform(unsigned failures, int64_t limit) {
    unsigned tenths[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        int64_t ms = backoff_ms(failures, BASE_MS, CAP_MS);
        assert_in_range(ms, 1, limit);
        tenths[(ms - 1) * 10 / limit]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(tenths[i], DRAWS / 20, DRAWS / 5);
}

static void jitter_is_full_and_grows_to_its_cap(void **state) {
    (void)state;
    assert_uniform(0, 100);
    assert_uniform(1, 200);
    assert_uniform(5, 3200);
    assert_uniform(6, CAP_MS);
    assert_uniform(19, CAP_MS);
    assert_uniform(20, CAP_MS);
    assert_uniform(UINT32_MAX, CAP_MS);
}

static unsigned take_all(struct retry_budget *budget) {
    unsigned count = 0;
    while (count < 1000 && retry_budget_take(budget))
        count++;
    return count;
}

static void a_budget_bounds_retries_and_successes_refill_it(void **state) {
    (void)state;
    struct retry_budget budget = {0};
    assert_int_equal(take_all(&budget), 100);
    for (int i = 0; i < 4; i++)
        retry_budget_give(&budget);
    assert_int_equal(take_all(&budget), 0);
    retry_budget_give(&budget);
    assert_int_equal(take_all(&budget), 1);
    for (int i = 0; i < 100000; i++)
        retry_budget_give(&budget);
    assert_int_equal(take_all(&budget), 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jitter_is_full_and_grows_to_its_cap),
        cmocka_unit_test(a_budget_bounds_retries_and_successes_refill_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
