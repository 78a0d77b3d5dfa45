/* Orders and events as JSON: what is accepted, what is refused and why, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

#define ITEM "{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":1}"
#define WITH_ITEM(item) "{\"customer_id\":\"c\",\"items\":[" item "]}"

/* Parses; *faults receives the errors array as text. */
static bool parse(const char *body, size_t len, struct arena *arena, struct order *order, char *faults,
                  size_t size) {
    struct http_faults found = {0};
    *order = (struct order){0};
    bool ok = order_from_json(body, len, arena, order, &found);
    snprintf(faults, size, "%s", found.json.data ? found.json.data : "");
    assert_int_equal(ok, found.count == 0);
    http_faults_free(&found);
    return ok;
}

static void a_good_order(void **state) {
    (void)state;
    static const char body[] =
        "{\"customer_id\":\"customer-demo-001\",\"items\":[{\"product_id\":\"laptop-001\",\"quantity\":1,"
        "\"unit_price\":999.99},{\"product_id\":\"mouse-001\",\"quantity\":2.0,\"unit_price\":29.99}]}";
    struct arena arena = {0};
    struct order order;
    char faults[2000];
    assert_true(parse(body, strlen(body), &arena, &order, faults, sizeof faults));
    assert_string_equal(order.customer_id, "customer-demo-001");
    assert_int_equal(order.item_count, 2);
    assert_int_equal(order.total, 105997);
    assert_string_equal(order.items[1].product_id, "mouse-001");
    assert_int_equal(order.items[1].quantity, 2);
    assert_int_equal(order.items[1].unit_price, 2999);
    arena_free(&arena);
}

static void what_is_refused_and_why(void **state) {
    (void)state;
    static const struct {
        const char *body, *pointer, *detail;
    } cases[] = {
        {"", "\"\"", ""},
        {"[]", "\"\"", ""},
        {"{", "\"\"", ""},
        {"{\"customer_id\":\"c\",\"customer_id\":\"d\",\"items\":[" ITEM "]}", "\"\"", "uplicate"},
        {"{}", "/customer_id", "is required"},
        {"{}", "/items", "is required"},
        {"{\"customer_id\":7,\"items\":[" ITEM "]}", "/customer_id", "must be a string"},
        {"{\"customer_id\":null,\"items\":[" ITEM "]}", "/customer_id", "must be a string"},
        {"{\"customer_id\":\"\",\"items\":[" ITEM "]}", "/customer_id", "1 to 255"},
        {"{\"customer_id\":\"a\\nb\",\"items\":[" ITEM "]}", "/customer_id", "control"},
        {"{\"customer_id\":\"a\\u007fb\",\"items\":[" ITEM "]}", "/customer_id", "control"},
        {"{\"customer_id\":\"a\\u0085b\",\"items\":[" ITEM "]}", "/customer_id", "control"},
        {"{\"customer_id\":\"c\",\"items\":[" ITEM "],\"a/b~\":1}", "/a~1b~0", "not a known member"},
        {"{\"customer_id\":\"c\",\"items\":{}}", "/items", "array of 1 to 100"},
        {"{\"customer_id\":\"c\",\"items\":[]}", "/items", "array of 1 to 100"},
        {WITH_ITEM("7"), "/items/0", "object"},
        {WITH_ITEM(ITEM ",{\"product_id\":\"p\",\"quantity\":1}"), "/items/1/unit_price", "required"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":1,\"sku\":1}"), "/items/0/sku",
         "not a known member"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":0,\"unit_price\":1}"), "/items/0/quantity", "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":-1,\"unit_price\":1}"), "/items/0/quantity",
         "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1000001,\"unit_price\":1}"), "/items/0/quantity",
         "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1.5,\"unit_price\":1}"), "/items/0/quantity",
         "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":\"1\",\"unit_price\":1}"), "/items/0/quantity",
         "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":0}"), "/items/0/unit_price", "0.01"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":-5}"), "/items/0/unit_price", "0.01"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":1.005}"), "/items/0/unit_price",
         "decimals"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":100000000}"), "/items/0/unit_price",
         "0.01"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":\"1.00\"}"), "/items/0/unit_price",
         "number"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":19.999999999999999999}"), "",
         "significant digits"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":0.99999999999999999999,\"unit_price\":1}"), "",
         "significant digits"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":19.9900000000001}"),
         "/items/0/unit_price", "two decimals"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1.00000000000001,\"unit_price\":1}"),
         "/items/0/quantity", "integer"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":99999999.9900001}"),
         "/items/0/unit_price", "two decimals"},
        {WITH_ITEM("{\"product_id\":\"p\",\"quantity\":1000000,\"unit_price\":99999.99}"), "/items",
         "in total"},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct order order;
        char faults[2000];
        assert_false(parse(cases[i].body, strlen(cases[i].body), &arena, &order, faults, sizeof faults));
        assert_non_null(strstr(faults, cases[i].pointer));
        assert_non_null(strstr(faults, cases[i].detail));
        arena_free(&arena);
    }
}

static void all_faults_at_once(void **state) {
    (void)state;
    static const char body[] =
        "{\"customer_id\":\"\",\"items\":[{\"product_id\":1,\"quantity\":0,\"unit_price\":0},7],\"x\":1}";
    static const char *const pointers[] = {"/customer_id\"",      "/items/0/product_id\"",
                                           "/items/0/quantity\"", "/items/0/unit_price\"",
                                           "/items/1\"",          "/x\""};
    struct arena arena = {0};
    struct order order;
    char faults[4000];
    assert_false(parse(body, strlen(body), &arena, &order, faults, sizeof faults));
    for_each_row(i, pointers, "%s", pointers[i]) {
        assert_non_null(strstr(faults, pointers[i]));
    }
    arena_free(&arena);
}

/* An order whose customer id is count times the text, and which has items items. */
static bool sized(const char *text, size_t count, size_t items) {
    struct arena arena = {0};
    struct buf body = {0};
    struct order order;
    char faults[200];
    buf_str(&body, "{\"customer_id\":\"");
    for (size_t i = 0; i < count; i++)
        buf_str(&body, text);
    buf_str(&body, "\",\"items\":[");
    for (size_t i = 0; i < items; i++)
        buf_str(&body, i ? "," ITEM : ITEM);
    buf_str(&body, "]}");
    bool ok = parse(body.data, body.len, &arena, &order, faults, sizeof faults);
    buf_free(&body);
    arena_free(&arena);
    return ok;
}

static void bounds_count_characters_and_items(void **state) {
    (void)state;
    assert_true(sized("x", 255, 1));
    assert_false(sized("x", 256, 1));
    assert_true(sized("\xe2\x82\xac", 255, 1)); /* 3 bytes each */
    assert_false(sized("\xe2\x82\xac", 256, 1));
    assert_false(sized("\xff", 1, 1)); /* not UTF-8 */
    assert_true(sized("x", 1, 100));
    assert_false(sized("x", 1, 101));
}

static struct order example(struct order_item items[static 2]) {
    items[0] = (struct order_item){"laptop \"1\"", 1, 99999};
    items[1] = (struct order_item){"mouse", 2, 2999};
    struct order order = {.client_id = "demo",
                          .customer_id = "c",
                          .total = 105997,
                          .version = 1,
                          .created_ms = 1752251024280,
                          .updated_ms = 1752251025000,
                          .items = items,
                          .item_count = 2};
    assert_true(uuid_parse("0197f9a0-0000-7000-8000-000000000001", &order.id));
    return order;
}

static void what_is_written(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct uuid event;
    struct buf out = {0};
    assert_true(uuid_parse("0197f9a0-0000-7000-8000-000000000002", &event));
    order_receipt_json(&out, &order);
    assert_string_equal(
        out.data, "{\"order_id\":\"0197f9a0-0000-7000-8000-000000000001\",\"status\":\"PENDING_SHIPMENT\","
                  "\"total_amount\":1059.97,\"created_at\":\"2025-07-11T16:23:44.280Z\"}");
    buf_clear(&out);
    order_view_json(&out, &order);
    assert_string_equal(
        out.data,
        "{\"id\":\"0197f9a0-0000-7000-8000-000000000001\",\"customer_id\":\"c\",\"status\":"
        "\"PENDING_SHIPMENT\",\"total_amount\":1059.97,\"items\":[{\"product_id\":\"laptop \\\"1\\\"\","
        "\"quantity\":1,\"unit_price\":999.99},{\"product_id\":\"mouse\",\"quantity\":2,\"unit_price\":"
        "29.99}],\"created_at\":\"2025-07-11T16:23:44.280Z\",\"updated_at\":\"2025-07-11T16:23:45.000Z\"}");
    buf_clear(&out);
    order_created_json(&out, &order, &event);
    assert_non_null(strstr(
        out.data, "\"eventType\":\"ORDER_CREATED\",\"eventId\":\"0197f9a0-0000-7000-8000-000000000002\","
                  "\"orderId\":\"0197f9a0-0000-7000-8000-000000000001\",\"customerId\":\"c\",\"items\":["));
    assert_non_null(strstr(out.data, "],\"totalAmount\":1059.97,\"timestamp\":\"2025-07-11T16:23:44.280Z\","
                                     "\"clientId\":\"demo\"}"));
    order.status = ORDER_SHIPPED;
    order.tracking_number = "T";
    buf_clear(&out);
    order_created_json(&out, &order, &event);
    assert_non_null(
        strstr(out.data, "\"clientId\":\"demo\",\"status\":\"SHIPPED\",\"trackingNumber\":\"T\"}"));
    buf_free(&out);
}

static void the_receipt_does_not_change_with_the_order(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct buf first = {0}, later = {0};
    order_receipt_json(&first, &order);
    assert_true(order_apply_status(&order, ORDER_DELIVERED, "T", "DHL", 1752252000000));
    order_receipt_json(&later, &order);
    assert_string_equal(first.data, later.data);
    buf_free(&first);
    buf_free(&later);
}

static void tracking_is_shown_once_known(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct buf out = {0};
    order.status = ORDER_SHIPPED;
    order.tracking_number = "T\"1";
    order.carrier = "DHL";
    order_view_json(&out, &order);
    assert_non_null(strstr(out.data, ",\"tracking_number\":\"T\\\"1\",\"carrier\":\"DHL\","));
    buf_free(&out);
}

static void a_cancellation_is_shown_at_the_end(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct buf out = {0};
    assert_int_equal(order_request_cancel(&order, "a \"b\"", order.created_ms), ORDER_CANCEL_NOTED);
    order_view_json(&out, &order);
    assert_non_null(
        strstr(out.data, "Z\",\"cancellation\":\"requested\",\"cancellation_reason\":\"a \\\"b\\\"\"}"));
    buf_free(&out);
}

static void the_event_of_a_cancellation_has_no_reason(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct uuid event = {{1}};
    struct buf out = {0};
    assert_int_equal(order_request_cancel(&order, "private", 1752251027000), ORDER_CANCEL_NOTED);
    order_cancel_json(&out, &order, &event);
    assert_string_equal(
        out.data,
        "{\"eventType\":\"ORDER_CANCEL_REQUESTED\",\"eventId\":\"01000000-0000-0000-0000-000000000000\","
        "\"orderId\":\"0197f9a0-0000-7000-8000-000000000001\",\"customerId\":\"c\","
        "\"timestamp\":\"2025-07-11T16:23:47.000Z\",\"clientId\":\"demo\"}");
    buf_free(&out);
}

static void an_erasure_names_order_and_replacement_only(void **state) {
    (void)state;
    struct order_item items[2];
    struct order order = example(items);
    struct uuid event = {{1}};
    struct buf out = {0};
    order_erase_customer(&order, "erased-0", 1752251027000);
    order_erased_json(&out, &order, &event);
    assert_string_equal(
        out.data, "{\"eventType\":\"CUSTOMER_ERASED\",\"eventId\":\"01000000-0000-0000-0000-000000000000\","
                  "\"orderId\":\"0197f9a0-0000-7000-8000-000000000001\",\"customerId\":\"erased-0\","
                  "\"timestamp\":\"2025-07-11T16:23:47.000Z\"}");
    buf_free(&out);
}

static void bodies_of_cancellations(void **state) {
    (void)state;
    static const struct {
        const char *body, *reason, *fault; /* fault NULL: good */
    } cases[] = {
        {"", NULL, NULL},
        {"{}", NULL, NULL},
        {"{\"reason\":null}", NULL, NULL},
        {"{\"reason\":\"too late\"}", "too late", NULL},
        {"{\"reason\":\"\"}", NULL, "/reason: must be 1 to 255"},
        {"{\"reason\":\"a\\u0007\"}", NULL, "/reason: must be 1 to 255"},
        {"{\"reason\":7}", NULL, "/reason: must be a string"},
        {"{\"why\":\"x\"}", NULL, "why"},
        {"[]", NULL, "object"},
        {"nonsense", NULL, ""},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct http_faults faults = {0};
        const char *reason = "?";
        bool good = order_cancel_from_json(cases[i].body, strlen(cases[i].body), &arena, &reason, &faults);
        assert_int_equal(good, cases[i].fault == NULL);
        if (!good)
            assert_non_null(strstr(faults.first.data, cases[i].fault));
        else if (cases[i].reason)
            assert_string_equal(reason, cases[i].reason);
        else
            assert_null(reason);
        http_faults_free(&faults);
        arena_free(&arena);
    }
}

#define EVENT "\"eventType\":\"ORDER_STATUS_UPDATE\",\"orderId\":\"0197f9a0-0000-7000-8000-000000000001\""

static void status_events(void **state) {
    (void)state;
    static const struct {
        const char *body, *reason; /* NULL: good */
    } cases[] = {
        {"{" EVENT ",\"currentStatus\":\"SHIPPED\"}", NULL},
        {"{" EVENT ",\"currentStatus\":\"SHIPPED\",\"trackingNumber\":null,\"carrier\":\"D\",\"later\":[1]}",
         NULL},
        {"{" EVENT ",\"currentStatus\":\"CANCELLED\"}", NULL},
        {"{" EVENT ",\"currentStatus\":\"PROCESSING\"}", "currentStatus"},
        {"{" EVENT "}", "currentStatus"},
        {"{" EVENT ",\"currentStatus\":1}", "currentStatus"},
        {"{" EVENT ",\"currentStatus\":\"SHIPPED\",\"trackingNumber\":7}", "trackingNumber"},
        {"{" EVENT ",\"currentStatus\":\"SHIPPED\",\"carrier\":\"\"}", "carrier"},
        {"{" EVENT ",\"currentStatus\":\"SHIPPED\",\"carrier\":\"a\\tb\"}", "carrier"},
        {"{\"eventType\":\"ORDER_CREATED\"}", "eventType"},
        {"{\"eventType\":\"ORDER_STATUS_UPDATE\",\"orderId\":\"7\",\"currentStatus\":\"SHIPPED\"}",
         "orderId"},
        {"{\"eventType\":\"ORDER_STATUS_UPDATE\",\"currentStatus\":\"SHIPPED\"}", "orderId"},
        {"not json", ""},
        {"", ""},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct order_status_event event;
        char reason[100] = "";
        bool ok = order_status_event_parse(cases[i].body, strlen(cases[i].body), &arena, &event, reason,
                                           sizeof reason);
        assert_int_equal(ok, cases[i].reason == NULL);
        if (!ok) {
            assert_true(*reason);
            assert_non_null(strstr(reason, cases[i].reason));
        }
        arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_order),
        cmocka_unit_test(what_is_refused_and_why),
        cmocka_unit_test(all_faults_at_once),
        cmocka_unit_test(bounds_count_characters_and_items),
        cmocka_unit_test(what_is_written),
        cmocka_unit_test(the_receipt_does_not_change_with_the_order),
        cmocka_unit_test(tracking_is_shown_once_known),
        cmocka_unit_test(a_cancellation_is_shown_at_the_end),
        cmocka_unit_test(the_event_of_a_cancellation_has_no_reason),
        cmocka_unit_test(an_erasure_names_order_and_replacement_only),
        cmocka_unit_test(bodies_of_cancellations),
        cmocka_unit_test(status_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
