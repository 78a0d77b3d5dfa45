/* For how long a batch is held, on a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/events/hold.h"

enum { ROUND_MS = 5000, NOW_MS = 1000 };

/* Rounds until it ends. The database is away in the first so many of each eight. */
static int rounds(int away, int64_t round_ms, bool tried) {
    struct hold hold;
    int64_t now_ms = NOW_MS;
    int n = 0;
    for (hold_begin(&hold, now_ms); hold_goes_on(&hold, now_ms); n++, now_ms += round_ms)
        if (n % 8 >= away)
            hold_count(&hold, round_ms, tried);
    return n;
}

static void a_busy_database_has_ten_minutes(void **state) {
    (void)state;
    assert_int_equal(rounds(0, ROUND_MS, true), HOLD_MS / ROUND_MS);
    assert_int_equal(rounds(4, ROUND_MS, true), 2 * HOLD_MS / ROUND_MS);
}

static void a_database_that_is_away_has_as_long_as_the_queue_hides_messages(void **state) {
    (void)state;
    assert_int_equal(rounds(8, ROUND_MS, false), HOLD_AWAY_MS / ROUND_MS);
}

/* Each try ends the server, which then is away for seven rounds. */
static void a_message_that_ends_the_server_is_not_tried_for_ever(void **state) {
    (void)state;
    assert_int_equal(rounds(7, 100, true), 8 * HOLD_TRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_database_has_ten_minutes),
        cmocka_unit_test(a_database_that_is_away_has_as_long_as_the_queue_hides_messages),
        cmocka_unit_test(a_message_that_ends_the_server_is_not_tried_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
