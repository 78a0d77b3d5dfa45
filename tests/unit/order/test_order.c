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

static void statuses_only_move_forward(void **state) {
    (void)state;
    static const struct {
        enum order_status from, event, after;
        bool changed;
    } cases[] = {
        {P, P, P, false}, {P, S, S, true},  {P, D, D, true},  {S, P, S, false}, {S, S, S, false},
        {S, D, D, true},  {D, P, D, false}, {D, S, D, false}, {D, D, D, false},
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

static void names_and_statuses_agree(void **state) {
    (void)state;
    enum order_status status = D;
    for (int i = P; i <= D; i++) {
        assert_true(order_status_parse(order_status_name((enum order_status)i), &status));
        assert_int_equal(status, i);
    }
    assert_false(order_status_parse("PROCESSING", &status));
    assert_false(order_status_parse("shipped", &status));
    assert_false(order_status_parse("", &status));
    assert_int_equal(status, D);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_only_move_forward),
        cmocka_unit_test(details_are_added_and_never_erased),
        cmocka_unit_test(the_time_of_a_change_never_goes_back),
        cmocka_unit_test(names_and_statuses_agree),
        cmocka_unit_test(the_order_of_items_does_not_count),
        cmocka_unit_test(everything_else_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
