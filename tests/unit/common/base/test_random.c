/* Random numbers and bytes. */
#include "common/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void random_numbers_stay_below_the_bound_and_reach_all_of_it(void **state) {
    (void)state;
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t number = random_below(7);
        assert_in_range(number, 0, 6);
        seen[number]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 700, 1300);
    assert_int_equal(random_below(1), 0);
    /* A modulo without rejection would give the lower half of this range twice as often. */
    uint64_t bound = UINT64_MAX / 3 * 2;
    int low = 0;
    for (int i = 0; i < 3000; i++)
        low += random_below(bound) < bound / 2;
    assert_in_range(low, 1300, 1700);
}

static void random_bytes_fill_all_and_differ(void **state) {
    (void)state;
    static unsigned char first[1000], second[1000];
    random_bytes(first, sizeof first);
    random_bytes(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first + 980, second + 980, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_stay_below_the_bound_and_reach_all_of_it),
        cmocka_unit_test(random_bytes_fill_all_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
