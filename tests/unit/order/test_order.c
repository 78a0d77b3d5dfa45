/* The rules of an order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order.h"

#include <string.h>

#include "fakes/rows.h"

#define P ORDER_PENDING_SHIPMENT
#define S ORDER_SHIPPED
#define D ORDER_DELIVERED
#define C ORDER_CANCELLED

static void statuses_only_move_forward(void **state) {
    (void)state;
    static const struct {
        enum order_status from, event, after;
        bool changed;
    } cases[] = {
        {P, P, P, false}, {P, S, S, true},  {P, D, D, true},  {S, P, S, false},
        {S, S, S, false}, {S, D, D, true},  {D, P, D, false}, {D, S, D, false},
        {D, D, D, false}, {P, C, C, true},  {S, C, S, false}, {D, C, D, false},
        {C, P, C, false}, {C, S, C, false}, {C, D, C, false}, {C, C, C, false},
    };
    for_each_row(i, cases, "%s, event %s", order_status_name(cases[i].from),
                 order_status_name(cases[i].event)) {
        struct order order = {.status = cases[i].from, .version = 5, .updated_ms = 1000};
        assert_int_equal(order_apply_status(&order, cases[i].event, NULL, NULL, 2000), cases[i].changed);
        assert_int_equal(order.status, cases[i].after);
        assert_int_equal(order.version, cases[i].changed ? 6 : 5);
        assert_int_equal(order.updated_ms, cases[i].changed ? 2000 : 1000);
    }
}

static void details_are_added_and_never_erased(void **state) {
    (void)state;
    struct order order = {.status = S, .version = 2};
    assert_true(order_apply_status(&order, S, "T1", NULL, 10));
    assert_true(order_apply_status(&order, S, NULL, "DHL", 11));
    assert_false(order_apply_status(&order, S, "T1", "DHL", 12));
    assert_true(order_apply_status(&order, D, NULL, NULL, 13));
    assert_string_equal(order.tracking_number, "T1");
    assert_string_equal(order.carrier, "DHL");
    assert_int_equal(order.version, 5);
    assert_false(order_apply_status(&order, S, "T2", "UPS", 14)); /* late: changes nothing */
    assert_string_equal(order.tracking_number, "T1");
}

static void the_time_of_a_change_never_goes_back(void **state) {
    (void)state;
    struct order order = {.status = P, .updated_ms = 5000};
    assert_true(order_apply_status(&order, S, NULL, NULL, 4000));
    assert_int_equal(order.updated_ms, 5000);
}

static void a_wish_to_cancel_is_noted_once(void **state) {
    (void)state;
    struct order order = {.status = P, .version = 1, .updated_ms = 1000};
    assert_int_equal(order_request_cancel(&order, "too late", 2000), ORDER_CANCEL_NOTED);
    assert_int_equal(order.cancellation, ORDER_CANCEL_REQUESTED);
    assert_int_equal(order.status, P);
    assert_int_equal(order.version, 2);
    assert_int_equal(order.updated_ms, 2000);
    assert_true(order_wants_cancel(&order));
    assert_int_equal(order_request_cancel(&order, "another reason", 3000), ORDER_CANCEL_KNOWN);
    assert_string_equal(order.cancellation_reason, "too late");
    assert_int_equal(order.version, 2);
}

static void the_shipment_decides_a_wish(void **state) {
    (void)state;
    static const struct {
        enum order_status event;
        enum order_cancellation after;
    } cases[] = {{P, ORDER_CANCEL_REQUESTED},
                 {S, ORDER_CANCEL_REFUSED},
                 {D, ORDER_CANCEL_REFUSED},
                 {C, ORDER_CANCEL_ACCEPTED}};
    for_each_row(i, cases, "event %s", order_status_name(cases[i].event)) {
        struct order order = {.status = P, .cancellation = ORDER_CANCEL_REQUESTED, .version = 2};
        assert_int_equal(order_apply_status(&order, cases[i].event, NULL, NULL, 5), cases[i].event != P);
        assert_int_equal(order.cancellation, cases[i].after);
        assert_int_equal(order_wants_cancel(&order), cases[i].event == P || cases[i].event == C);
        assert_int_equal(order_request_cancel(&order, NULL, 6), ORDER_CANCEL_KNOWN);
    }
}

static void nobody_can_wish_to_cancel_what_has_left(void **state) {
    (void)state;
    struct order shipped = {.status = S, .version = 2}, delivered = {.status = D}, cancelled = {.status = C};
    assert_int_equal(order_request_cancel(&shipped, "no", 5), ORDER_CANCEL_TOO_LATE);
    assert_int_equal(order_request_cancel(&delivered, "no", 5), ORDER_CANCEL_TOO_LATE);
    assert_int_equal(order_request_cancel(&cancelled, "no", 5), ORDER_CANCEL_KNOWN); /* by the warehouse */
    assert_int_equal(shipped.version, 2);
    assert_int_equal(shipped.cancellation, ORDER_CANCEL_NONE);
    assert_null(shipped.cancellation_reason);
}

static void left_and_cancelled_contradict_each_other(void **state) {
    (void)state;
    for (int i = P; i < ORDER_STATUSES; i++) {
        for (int j = P; j < ORDER_STATUSES; j++) {
            struct order order = {.status = (enum order_status)i};
            bool expected = (i == C && (j == S || j == D)) || (j == C && (i == S || i == D));
            assert_int_equal(order_contradicts(&order, (enum order_status)j), expected);
        }
    }
}

static void cancellations_have_names(void **state) {
    (void)state;
    enum order_cancellation read = ORDER_CANCEL_REFUSED;
    assert_true(order_cancellation_parse(NULL, &read));
    assert_int_equal(read, ORDER_CANCEL_NONE);
    assert_null(order_cancellation_name(ORDER_CANCEL_NONE));
    for (int i = ORDER_CANCEL_REQUESTED; i < ORDER_CANCELLATIONS; i++) {
        assert_true(order_cancellation_parse(order_cancellation_name((enum order_cancellation)i), &read));
        assert_int_equal(read, i);
    }
    assert_false(order_cancellation_parse("REQUESTED", &read));
}

static void names_and_statuses_agree(void **state) {
    (void)state;
    enum order_status status = D;
    for (int i = P; i < ORDER_STATUSES; i++) {
        assert_true(order_status_parse(order_status_name((enum order_status)i), &status));
        assert_int_equal(status, i);
    }
    assert_false(order_status_parse("PROCESSING", &status));
    assert_false(order_status_parse("shipped", &status));
    assert_false(order_status_parse("", &status));
    assert_int_equal(status, C);
}

static void fingerprint_of(const char *customer, struct order_item *items, size_t n,
                           uint8_t out[SHA256_SIZE]) {
    struct order order = {.customer_id = customer, .items = items, .item_count = n};
    assert_true(order_fingerprint(&order, out));
}

static void the_order_of_items_does_not_count(void **state) {
    (void)state;
    struct order_item ab[] = {{"a", 1, 100}, {"b", 2, 200}, {"a", 1, 50}},
                      ba[] = {{"a", 1, 50}, {"b", 2, 200}, {"a", 1, 100}};
    uint8_t one[SHA256_SIZE], two[SHA256_SIZE];
    fingerprint_of("c", ab, 3, one);
    fingerprint_of("c", ba, 3, two);
    assert_memory_equal(one, two, sizeof one);
    assert_string_equal(ab[0].product_id, "a"); /* and the items stay as they were sent */
    assert_int_equal(ab[2].unit_price, 50);
}

static void everything_else_counts(void **state) {
    (void)state;
    struct order_item base[] = {{"a", 1, 100}, {"b", 2, 200}};
    struct order_item quantity[] = {{"a", 2, 100}, {"b", 2, 200}}, price[] = {{"a", 1, 101}, {"b", 2, 200}};
    struct order_item product[] = {{"ab", 1, 100}, {"b", 2, 200}}, crossed[] = {{"a", 1, 200}, {"b", 2, 100}};
    uint8_t first[SHA256_SIZE], other[SHA256_SIZE];
    fingerprint_of("c", base, 2, first);
    struct {
        const char *what, *customer;
        struct order_item *items;
        size_t n;
    } others[] = {
        {"customer", "d", base, 2},
        {"quantity", "c", quantity, 2},
        {"price", "c", price, 2},
        {"product", "c", product, 2},
        {"prices crossed", "c", crossed, 2},
        {"first item alone", "c", base, 1},
        {"last item alone", "c", base + 1, 1},
    };
    for_each_row(i, others, "%s", others[i].what) {
        fingerprint_of(others[i].customer, others[i].items, others[i].n, other);
        assert_memory_not_equal(first, other, sizeof first);
    }
}

static void an_erasure_leaves_items_and_parcel(void **state) {
    (void)state;
    struct order_item item = {"p", 2, 100};
    struct order order = {.client_id = "shop",
                          .customer_id = "c",
                          .status = ORDER_SHIPPED,
                          .total = 200,
                          .items = &item,
                          .item_count = 1,
                          .tracking_number = "T",
                          .carrier = "DHL",
                          .cancellation = ORDER_CANCEL_REFUSED,
                          .cancellation_reason = "mine",
                          .reference = "r",
                          .metadata = "{}",
                          .currency = "USD",
                          .version = 3,
                          .updated_ms = 1000};
    order_erase_customer(&order, "erased-0", 2000);
    assert_string_equal(order.customer_id, "erased-0");
    assert_null(order.cancellation_reason);
    assert_null(order.reference);
    assert_null(order.metadata);
    assert_int_equal(order.version, 4);
    assert_int_equal(order.updated_ms, 2000);
    assert_int_equal(order.status, ORDER_SHIPPED);
    assert_int_equal(order.cancellation, ORDER_CANCEL_REFUSED);
    assert_int_equal(order.total, 200);
    assert_int_equal(order.item_count, 1);
    assert_string_equal(order.client_id, "shop");
    assert_string_equal(order.tracking_number, "T");
    assert_string_equal(order.currency, "USD");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_only_move_forward),
        cmocka_unit_test(details_are_added_and_never_erased),
        cmocka_unit_test(the_time_of_a_change_never_goes_back),
        cmocka_unit_test(a_wish_to_cancel_is_noted_once),
        cmocka_unit_test(the_shipment_decides_a_wish),
        cmocka_unit_test(nobody_can_wish_to_cancel_what_has_left),
        cmocka_unit_test(left_and_cancelled_contradict_each_other),
        cmocka_unit_test(cancellations_have_names),
        cmocka_unit_test(names_and_statuses_agree),
        cmocka_unit_test(the_order_of_items_does_not_count),
        cmocka_unit_test(everything_else_counts),
        cmocka_unit_test(an_erasure_leaves_items_and_parcel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
