/* The rules of a shipment. */
#include "delivery/shipment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fakes/rows.h"

#define PROCESSING SHIPMENT_PROCESSING
#define SHIPPED SHIPMENT_SHIPPED
#define DELIVERED SHIPMENT_DELIVERED
#define CANCELLED SHIPMENT_CANCELLED

static const struct shipment_pace pace = {
    .simulated = true, .assign_ms = 10, .ship_ms = 20, .deliver_ms = 30};
static const struct shipment_pace stillness = {.simulated = false, .assign_ms = 10, .ship_ms = 20};

enum { CREATED = 1000, DUE = 1010, NOW = 5000 };

static struct shipment shipment_at(enum shipment_status status, const char *tracking, const char *carrier) {
    return (struct shipment){.status = status,
                             .tracking_number = tracking,
                             .carrier = carrier,
                             .correlation_id = "c",
                             .created_ms = CREATED,
                             .updated_ms = CREATED,
                             .delivered_ms = status == DELIVERED ? CREATED : DB_NO_TIME,
                             .next_ms = status == DELIVERED ? DB_NO_TIME : DUE};
}

static void a_status_moves_one_step_forward_only(void **state) {
    (void)state;
    static const enum shipment_verdict expected[4][4] = {
        /* to:          PROCESSING          SHIPPED             DELIVERED           CANCELLED */
        [PROCESSING] = {SHIPMENT_UNCHANGED, SHIPMENT_MOVED, SHIPMENT_REFUSED, SHIPMENT_MOVED},
        [SHIPPED] = {SHIPMENT_REFUSED, SHIPMENT_UNCHANGED, SHIPMENT_MOVED, SHIPMENT_REFUSED},
        [DELIVERED] = {SHIPMENT_REFUSED, SHIPMENT_REFUSED, SHIPMENT_UNCHANGED, SHIPMENT_REFUSED},
        [CANCELLED] = {SHIPMENT_REFUSED, SHIPMENT_REFUSED, SHIPMENT_REFUSED, SHIPMENT_UNCHANGED},
    };
    for (int from = PROCESSING; from <= CANCELLED; from++) {
        for (int to = PROCESSING; to <= CANCELLED; to++) {
            struct shipment shipment = shipment_at((enum shipment_status)from, "T", "C");
            struct shipment_change change = {.status = (enum shipment_status)to};
            shipment_apply(&shipment, &change, &pace, NOW);
            bool moved = expected[from][to] == SHIPMENT_MOVED;
            assert_int_equal(change.verdict, expected[from][to]);
            assert_int_equal(shipment_status_may_follow((enum shipment_status)from, (enum shipment_status)to),
                             moved);
            assert_int_equal(change.before, from);
            assert_int_equal(shipment.status, moved ? to : from);
            assert_int_equal(shipment.updated_ms, moved ? NOW : CREATED);
            assert_memory_equal(&change.shipment, &shipment, sizeof shipment);
        }
    }
}

static void the_carrier_does_not_come_for_what_is_cancelled(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(PROCESSING, "T", "C");
    struct shipment_change change = {.status = CANCELLED};
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_true(shipment.next_ms == DB_NO_TIME && shipment.delivered_ms == DB_NO_TIME);
    assert_string_equal(change.description, "Cancelled");
    assert_string_equal(shipment.tracking_number, "T");
    assert_true(shipment_is_news(&change));
}

static void a_delivery_has_its_time_and_ends_the_carriers_work(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(SHIPPED, "T", "C");
    struct shipment_change change = {.status = DELIVERED};
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_int_equal(shipment.delivered_ms, NOW);
    assert_true(shipment.next_ms == DB_NO_TIME);
    change = (struct shipment_change){.status = DELIVERED, .carrier = "D"};
    shipment_apply(&shipment, &change, &pace, NOW + 1);
    assert_int_equal(change.verdict, SHIPMENT_DETAILED);
    assert_int_equal(shipment.delivered_ms, NOW);
    assert_true(shipment.next_ms == DB_NO_TIME);
}

static void details_are_added_and_changed_but_never_erased(void **state) {
    (void)state;
    static const struct {
        const char *label, *had_tracking, *had_carrier, *tracking, *carrier, *now_tracking, *now_carrier;
        enum shipment_verdict verdict;
    } cases[] = {
        {"nothing given", "T", "C", NULL, NULL, "T", "C", SHIPMENT_UNCHANGED},
        {"the same given", "T", "C", "T", "C", "T", "C", SHIPMENT_UNCHANGED},
        {"tracking added", NULL, NULL, "T", NULL, "T", NULL, SHIPMENT_DETAILED},
        {"carrier changed", "T", "C", NULL, "D", "T", "D", SHIPMENT_DETAILED},
        {"both changed", "T", "C", "U", "D", "U", "D", SHIPMENT_DETAILED},
    };
    for_each_row(i, cases, "%s", cases[i].label) {
        struct shipment shipment = shipment_at(SHIPPED, cases[i].had_tracking, cases[i].had_carrier);
        struct shipment_change change = {
            .status = SHIPPED, .tracking_number = cases[i].tracking, .carrier = cases[i].carrier};
        shipment_apply(&shipment, &change, &pace, NOW);
        if (change.verdict != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].label, (int)change.verdict);
        assert_string_equal(shipment.tracking_number, cases[i].now_tracking);
        assert_ptr_equal(shipment.carrier, cases[i].now_carrier);
        assert_int_equal(shipment.updated_ms, change.verdict == SHIPMENT_UNCHANGED ? CREATED : NOW);
        assert_int_equal(shipment.next_ms, DUE); /* the carrier comes when it would have come */
    }
}

static void order_svc_must_hear_of_moves_and_of_corrections_of_what_it_knows(void **state) {
    (void)state;
    static const struct {
        enum shipment_status from, to;
        const char *tracking, *carrier;
        bool news;
    } rows[] = {
        {PROCESSING, PROCESSING, "T2", NULL, false}, {PROCESSING, SHIPPED, NULL, NULL, true},
        {SHIPPED, SHIPPED, "T2", NULL, true},        {SHIPPED, SHIPPED, NULL, "C2", true},
        {SHIPPED, SHIPPED, "T", "C", false},         {SHIPPED, DELIVERED, NULL, NULL, true},
        {DELIVERED, DELIVERED, "T2", NULL, true},    {DELIVERED, DELIVERED, "T", NULL, false},
        {DELIVERED, SHIPPED, "T2", NULL, false},
    };
    for_each_row(i, rows, "%d to %d with %s, %s", rows[i].from, rows[i].to,
                 rows[i].tracking ? rows[i].tracking : "-", rows[i].carrier ? rows[i].carrier : "-") {
        struct shipment shipment = shipment_at(rows[i].from, "T", "C");
        struct shipment_change change = {
            .status = rows[i].to, .tracking_number = rows[i].tracking, .carrier = rows[i].carrier};
        shipment_apply(&shipment, &change, &pace, NOW);
        assert_int_equal(shipment_is_news(&change), rows[i].news);
    }
}

static void what_has_left_is_not_told_of_it_again(void **state) {
    (void)state;
    struct shipment_change change = {.status = SHIPPED, .tracking_number = "U", .unless_left = true};
    struct shipment shipment = shipment_at(SHIPPED, "T", "C");
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_int_equal(change.verdict, SHIPMENT_UNCHANGED);
    assert_string_equal(shipment.tracking_number, "T");
    shipment = shipment_at(PROCESSING, "T", "C");
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_int_equal(change.verdict, SHIPMENT_MOVED);
    assert_string_equal(shipment.tracking_number, "U");
}

static void a_refused_change_leaves_the_details(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(DELIVERED, "T", "C");
    struct shipment_change change = {.status = PROCESSING, .tracking_number = "U", .carrier = "D"};
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_int_equal(change.verdict, SHIPMENT_REFUSED);
    assert_string_equal(shipment.tracking_number, "T");
    assert_string_equal(shipment.carrier, "C");
}

static void a_move_keeps_details_it_does_not_name(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(PROCESSING, "T", NULL);
    struct shipment_change change = {.status = SHIPPED, .carrier = "C"};
    shipment_apply(&shipment, &change, &pace, NOW);
    assert_string_equal(shipment.tracking_number, "T");
    assert_string_equal(shipment.carrier, "C");
}

static void a_change_by_hand_reschedules_the_carrier(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(PROCESSING, NULL, NULL);
    struct shipment_change assign = {.status = PROCESSING, .tracking_number = "T"};
    shipment_apply(&shipment, &assign, &pace, NOW);
    assert_string_equal(assign.description, "Carrier assigned");
    assert_int_equal(shipment.next_ms, NOW + pace.ship_ms);
    struct shipment_change ship = {.status = SHIPPED};
    shipment_apply(&shipment, &ship, &pace, NOW);
    assert_string_equal(ship.description, "Shipped");
    assert_int_equal(shipment.next_ms, NOW + pace.deliver_ms);
}

static void nothing_is_scheduled_without_simulation(void **state) {
    (void)state;
    struct shipment shipment = shipment_at(PROCESSING, NULL, NULL);
    assert_true(shipment_next_ms(&shipment, &stillness, NOW) == DB_NO_TIME);
    struct shipment_change ship = {.status = SHIPPED, .tracking_number = "T"};
    shipment_apply(&shipment, &ship, &stillness, NOW);
    assert_true(shipment.next_ms == DB_NO_TIME);
}

static void the_carrier_takes_three_steps(void **state) {
    (void)state;
    char tracking[SHIPMENT_TRACKING_SIZE], again[SHIPMENT_TRACKING_SIZE];
    struct shipment_change step;
    struct shipment shipment = shipment_at(PROCESSING, NULL, NULL);
    shipment.id = uuid_new();

    shipment_carrier_step(&shipment, tracking, &step);
    shipment_carrier_step(&shipment, again, &step);
    assert_string_equal(tracking, again);
    assert_string_equal(step.actor, "carrier");
    assert_string_equal(step.request_id, "c");
    assert_memory_equal(&step.shipment_id, &shipment.id, sizeof shipment.id);
    shipment_apply(&shipment, &step, &pace, NOW);
    assert_int_equal(step.verdict, SHIPMENT_DETAILED);
    assert_int_equal(strlen(shipment.tracking_number), SHIPMENT_TRACKING_SIZE - 1);
    assert_non_null(shipment.carrier);
    assert_int_equal(shipment.next_ms, NOW + pace.ship_ms);

    for (enum shipment_status status = SHIPPED; status <= DELIVERED; status++) {
        shipment_carrier_step(&shipment, again, &step);
        shipment_apply(&shipment, &step, &pace, NOW);
        assert_int_equal(step.verdict, SHIPMENT_MOVED);
        assert_int_equal(shipment.status, status);
        assert_string_equal(shipment.tracking_number, tracking);
    }
}

static void the_carrier_keeps_what_was_set_by_hand(void **state) {
    (void)state;
    char tracking[SHIPMENT_TRACKING_SIZE];
    struct shipment_change step;
    struct shipment shipment = shipment_at(PROCESSING, NULL, "By hand");
    shipment_carrier_step(&shipment, tracking, &step);
    shipment_apply(&shipment, &step, &pace, NOW);
    assert_string_equal(shipment.carrier, "By hand");
    assert_string_equal(shipment.tracking_number, tracking);
}

static void a_status_has_its_name(void **state) {
    (void)state;
    static const char *const bad[] = {"", "processing", "PENDING_SHIPMENT", "SHIPPED ", "CANCELED"};
    enum shipment_status status = DELIVERED;
    for (int i = PROCESSING; i < SHIPMENT_STATUSES; i++) {
        assert_true(shipment_status_parse(shipment_status_name((enum shipment_status)i), &status));
        assert_int_equal(status, i);
    }
    for_each_row(i, bad, "'%s'", bad[i]) {
        assert_false(shipment_status_parse(bad[i], &status));
    }
    assert_string_equal(shipment_status_order_name(PROCESSING), "PENDING_SHIPMENT");
    assert_string_equal(shipment_status_order_name(SHIPPED), "SHIPPED");
    assert_string_equal(shipment_status_order_name(DELIVERED), "DELIVERED");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_moves_one_step_forward_only),
        cmocka_unit_test(the_carrier_does_not_come_for_what_is_cancelled),
        cmocka_unit_test(a_delivery_has_its_time_and_ends_the_carriers_work),
        cmocka_unit_test(details_are_added_and_changed_but_never_erased),
        cmocka_unit_test(order_svc_must_hear_of_moves_and_of_corrections_of_what_it_knows),
        cmocka_unit_test(what_has_left_is_not_told_of_it_again),
        cmocka_unit_test(a_refused_change_leaves_the_details),
        cmocka_unit_test(a_move_keeps_details_it_does_not_name),
        cmocka_unit_test(a_change_by_hand_reschedules_the_carrier),
        cmocka_unit_test(nothing_is_scheduled_without_simulation),
        cmocka_unit_test(the_carrier_takes_three_steps),
        cmocka_unit_test(the_carrier_keeps_what_was_set_by_hand),
        cmocka_unit_test(a_status_has_its_name),
    };
    return cmocka_run_group_tests_name("shipment", tests, NULL, NULL);
}
