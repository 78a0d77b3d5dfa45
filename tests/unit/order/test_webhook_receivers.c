/* What a sender remembers of its receivers. */
#include "order/webhook_receivers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/db/params.h"

static struct webhook_receivers *receivers;

static int fresh(void **state) {
    (void)state;
    receivers = calloc(1, sizeof *receivers);
    return receivers ? 0 : -1;
}

static int gone(void **state) {
    (void)state;
    free(receivers);
    return 0;
}

static struct uuid id_of(unsigned n) {
    return (struct uuid){{[14] = (uint8_t)(n >> 8), [15] = (uint8_t)n}};
}

static void a_new_receiver_is_looked_at_as_a_whole(void **state) {
    (void)state;
    struct uuid id = id_of(1);
    webhook_receivers_begin(receivers, clock_mono_ms());
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, DB_NO_TIME);
    assert_int_equal(webhook_receivers_find(receivers, &id)->sending, 0);
    assert_int_equal(receivers->count, 1);
}

static void a_claim_goes_on_a_little_before_the_last_one(void **state) {
    (void)state;
    struct uuid id = id_of(1), other = id_of(2);
    webhook_receivers_begin(receivers, clock_mono_ms());
    webhook_receivers_took(receivers, &id, 1000000);
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, 998000);
    webhook_receivers_took(receivers, &id, 900000); /* of a lane that was late: it never goes back */
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, 998000);
    assert_int_equal(webhook_receivers_find(receivers, &other)->from_ms, DB_NO_TIME);
}

static void a_claim_begins_with_nothing_on_its_way(void **state) {
    (void)state;
    struct uuid id = id_of(1);
    int64_t now = clock_mono_ms();
    webhook_receivers_begin(receivers, now);
    webhook_receivers_find(receivers, &id)->sending = 5;
    webhook_receivers_took(receivers, &id, 1000000);
    webhook_receivers_begin(receivers, now);
    assert_int_equal(webhook_receivers_find(receivers, &id)->sending, 0);
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, 998000);
}

static void now_and_then_all_is_looked_at_again(void **state) {
    (void)state;
    struct uuid id = id_of(1);
    int64_t now = clock_mono_ms();
    webhook_receivers_begin(receivers, now);
    webhook_receivers_took(receivers, &id, 1000000);
    webhook_receivers_begin(receivers, now + 61000);
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, DB_NO_TIME);
    webhook_receivers_took(receivers, &id, 1000000);
    webhook_receivers_begin(receivers, now + 62000);
    assert_int_equal(webhook_receivers_find(receivers, &id)->from_ms, 998000);
}

static void the_one_that_was_not_used_for_longest_is_forgotten(void **state) {
    (void)state;
    int64_t now = clock_mono_ms();
    struct uuid first = id_of(0), second = id_of(1), fresh_one = id_of(999);
    for (unsigned i = 0; i < WEBHOOK_RECEIVERS; i++) {
        struct uuid id = id_of(i);
        webhook_receivers_begin(receivers, now);
        webhook_receivers_took(receivers, &id, 1000000);
    }
    webhook_receivers_begin(receivers, now);
    (void)webhook_receivers_find(receivers, &first);
    webhook_receivers_took(receivers, &fresh_one, 2000000);
    assert_int_equal(receivers->count, WEBHOOK_RECEIVERS);
    assert_int_equal(webhook_receivers_find(receivers, &first)->from_ms, 998000);
    assert_int_equal(webhook_receivers_find(receivers, &fresh_one)->from_ms, 1998000);
    assert_int_equal(webhook_receivers_find(receivers, &second)->from_ms, DB_NO_TIME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_receiver_is_looked_at_as_a_whole, fresh, gone),
        cmocka_unit_test_setup_teardown(a_claim_goes_on_a_little_before_the_last_one, fresh, gone),
        cmocka_unit_test_setup_teardown(a_claim_begins_with_nothing_on_its_way, fresh, gone),
        cmocka_unit_test_setup_teardown(now_and_then_all_is_looked_at_again, fresh, gone),
        cmocka_unit_test_setup_teardown(the_one_that_was_not_used_for_longest_is_forgotten, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
