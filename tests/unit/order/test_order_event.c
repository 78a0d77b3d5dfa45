/* Events of an order's history: positions, types, JSON, filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order_event.h"

#include <string.h>

#include "fakes/rows.h"

static void positions_sort_as_their_text_does(void **state) {
    (void)state;
    static const struct event_position sorted[] = {
        {0, 0, 0}, {0, 0, 1}, {0, 9, 0}, {0, 16, 0}, {0, INT64_MAX, INT32_MAX}, {1, 0, 0}, {0x7fffffff, 1, 2},
    };
    char text[2][EVENT_ID_SIZE];
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        struct event_position read;
        event_position_format(&sorted[i], text[0]);
        assert_int_equal(strlen(text[0]), 32);
        assert_true(event_position_parse(text[0], &read));
        assert_int_equal(event_position_compare(&read, &sorted[i]), 0);
        for (size_t j = 0; j < i; j++) {
            event_position_format(&sorted[j], text[1]);
            assert_true(strcmp(text[1], text[0]) < 0);
            assert_true(event_position_compare(&sorted[j], &sorted[i]) < 0);
            assert_true(event_position_compare(&sorted[i], &sorted[j]) > 0);
        }
    }
}

static void what_is_no_position_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "0",
                                      "0000000000000000000000000000000",
                                      "000000000000000000000000000000000",
                                      "0000000000000000000000000000000G",
                                      "0000000000000000000000000000000A",
                                      " 0000000000000000000000000000000",
                                      "+0000000000000000000000000000000",
                                      "000000008000000000000000000000000",
                                      "00000000800000000000000000000000",
                                      "00000000000000000000000080000000"};
    struct event_position position = {7, 7, 7};
    for_each_row(i, bad, "'%s'", bad[i]) assert_false(event_position_parse(bad[i], &position));
    assert_int_equal(position.epoch, 7);
}

static void a_change_has_a_type(void **state) {
    (void)state;
    static const struct {
        enum order_status before, after;
        const char *type;
    } cases[] = {
        {ORDER_PENDING_SHIPMENT, ORDER_PENDING_SHIPMENT, "order.tracking_changed"},
        {ORDER_PENDING_SHIPMENT, ORDER_SHIPPED, "order.shipped"},
        {ORDER_PENDING_SHIPMENT, ORDER_DELIVERED, "order.delivered"},
        {ORDER_SHIPPED, ORDER_SHIPPED, "order.tracking_changed"},
        {ORDER_SHIPPED, ORDER_DELIVERED, "order.delivered"},
        {ORDER_DELIVERED, ORDER_DELIVERED, "order.tracking_changed"},
        {ORDER_PENDING_SHIPMENT, ORDER_CANCELLED, "order.cancelled"},
    };
    for_each_row(i, cases, "to %s", cases[i].type) {
        enum order_event_type type = order_event_type_of(cases[i].before, cases[i].after), read;
        assert_string_equal(order_event_type_name(type), cases[i].type);
        assert_true(order_event_type_parse(cases[i].type, &read));
        assert_int_equal(read, type);
    }
}

static struct order_event an_event(void) {
    return (struct order_event){.position = {1, 2, 3},
                                .type = ORDER_EVENT_SHIPPED,
                                .order_id = {{1}},
                                .client_id = "shop",
                                .customer_id = "a \"b\"",
                                .previous_status = "PENDING_SHIPMENT",
                                .status = "SHIPPED",
                                .actor = "delivery-service",
                                .request_id = "r-1",
                                .data = "{\"carrier\":\"x\"}",
                                .occurred_ms = 1000};
}

static void a_cancellation_tells_its_reason(void **state) {
    (void)state;
    struct order_event event = an_event();
    struct buf out = {0};
    event.data = NULL;
    event.cancellation_reason = "found \"it\" cheaper";
    for (int type = ORDER_EVENT_CANCEL_REQUESTED; type < ORDER_EVENT_TYPES; type++) {
        event.type = (enum order_event_type)type;
        buf_clear(&out);
        order_event_json(&out, &event);
        assert_non_null(strstr(out.data, "\"data\":{\"reason\":\"found \\\"it\\\" cheaper\""));
        assert_int_equal(strstr(out.data, ",\"refusal\":\"The shipment had left\"}") != NULL,
                         type == ORDER_EVENT_CANCEL_REFUSED);
    }
    event.cancellation_reason = NULL;
    buf_clear(&out);
    order_event_json(&out, &event);
    assert_non_null(strstr(out.data, "\"data\":{\"reason\":null,"));
    buf_free(&out);
}

static void json_has_what_is_known(void **state) {
    (void)state;
    struct order_event event = an_event();
    struct buf out = {0};
    order_event_json(&out, &event);
    assert_string_equal(
        out.data,
        "{\"id\":\"00000001000000000000000200000003\",\"type\":\"order.shipped\","
        "\"order_id\":\"01000000-0000-0000-0000-000000000000\",\"occurred_at\":\"1970-01-01T00:00:01.000Z\","
        "\"previous_status\":\"PENDING_SHIPMENT\",\"status\":\"SHIPPED\",\"actor\":\"delivery-service\","
        "\"data\":{\"carrier\":\"x\"},\"customer_id\":\"a \\\"b\\\"\",\"request_id\":\"r-1\",\"trace_id\":null}");
    event.previous_status = event.data = event.actor = NULL;
    event.total = 105997;
    event.trace_id = "t";
    buf_clear(&out);
    order_event_json(&out, &event);
    assert_non_null(strstr(out.data, "\"previous_status\":null,"));
    assert_non_null(strstr(out.data, "\"actor\":\"client:shop\","));
    assert_non_null(strstr(out.data, "\"data\":{\"total_amount\":1059.97},"));
    assert_non_null(strstr(out.data, "\"trace_id\":\"t\"}"));
    event.total = 150000;
    event.currency = "JPY";
    event.reference = "R \"1\"";
    buf_clear(&out);
    order_event_json(&out, &event);
    assert_non_null(strstr(
        out.data, "\"data\":{\"total_amount\":1500,\"currency\":\"JPY\",\"reference\":\"R \\\"1\\\"\"},"));
    buf_free(&out);
}

static void a_filter_takes_what_it_names(void **state) {
    (void)state;
    static const struct uuid same = {{1}}, other = {{2}};
    const struct {
        const char *what;
        struct event_filter filter;
        bool matches;
    } cases[] = {
        {"nothing", {0}, true},
        {"client", {.client_id = "shop"}, true},
        {"another client", {.client_id = "sho"}, false},
        {"order", {.order_id = &same}, true},
        {"another order", {.order_id = &other}, false},
        {"customer", {.customer_id = "a \"b\""}, true},
        {"another customer", {.customer_id = "a"}, false},
        {"type", {.types = 1u << ORDER_EVENT_SHIPPED | 1u << ORDER_EVENT_CREATED}, true},
        {"another type", {.types = 1u << ORDER_EVENT_CREATED}, false},
        {"client but another type", {.client_id = "shop", .types = 1u << ORDER_EVENT_CREATED}, false},
    };
    struct order_event event = an_event();
    for_each_row(i, cases, "%s", cases[i].what)
        assert_int_equal(event_filter_matches(&cases[i].filter, &event), cases[i].matches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_sort_as_their_text_does),
        cmocka_unit_test(what_is_no_position_is_refused),
        cmocka_unit_test(a_change_has_a_type),
        cmocka_unit_test(a_cancellation_tells_its_reason),
        cmocka_unit_test(json_has_what_is_known),
        cmocka_unit_test(a_filter_takes_what_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
