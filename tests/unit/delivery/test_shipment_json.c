/* Shipments, their trail and their events as JSON, both ways. */
#include "delivery/shipment_json.h"

#include "common/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fakes/rows.h"

#define ORDER "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
#define SHIPMENT "0190a1b2-ffff-7e5f-8a9b-0c1d2e3f4a5b"
#define CREATED_MS 1769847330123 /* 2026-01-31T08:15:30.123Z */

static struct uuid uuid_of(const char *text) {
    struct uuid id;
    assert_true(uuid_parse(text, &id));
    return id;
}

static void assert_json(struct buf *out, const char *expected) {
    assert_false(out->failed);
    assert_string_equal(out->data, expected);
    char error[JSON_ERROR_SIZE];
    json_t *parsed = json_parse_object(out->data, out->len, error);
    assert_non_null(parsed);
    json_decref(parsed);
    buf_free(out);
}

static struct shipment shipment_new(void) {
    return (struct shipment){.id = uuid_of(SHIPMENT),
                             .order_id = uuid_of(ORDER),
                             .status = SHIPMENT_PROCESSING,
                             .created_ms = CREATED_MS,
                             .updated_ms = CREATED_MS,
                             .delivered_ms = DB_NO_TIME,
                             .next_ms = DB_NO_TIME};
}

static void the_view_of_a_new_shipment_has_nulls(void **state) {
    (void)state;
    struct buf out = {0};
    struct shipment shipment = shipment_new();
    shipment_view_json(&out, &shipment);
    assert_json(&out,
                "{\"id\":\"" SHIPMENT "\",\"order_id\":\"" ORDER "\",\"tracking_number\":null,"
                "\"carrier\":null,\"status\":\"PROCESSING\",\"created_at\":\"2026-01-31T08:15:30.123Z\","
                "\"updated_at\":\"2026-01-31T08:15:30.123Z\",\"delivered_at\":null}");
}

static void the_view_of_a_delivered_shipment_has_everything(void **state) {
    (void)state;
    struct buf out = {0};
    struct shipment shipment = shipment_new();
    shipment.status = SHIPMENT_DELIVERED;
    shipment.tracking_number = "T\"1";
    shipment.carrier = "Müller";
    shipment.updated_ms = shipment.delivered_ms = CREATED_MS + 1000;
    shipment_view_json(&out, &shipment);
    assert_json(&out,
                "{\"id\":\"" SHIPMENT "\",\"order_id\":\"" ORDER "\",\"tracking_number\":\"T\\\"1\","
                "\"carrier\":\"Müller\",\"status\":\"DELIVERED\","
                "\"created_at\":\"2026-01-31T08:15:30.123Z\",\"updated_at\":\"2026-01-31T08:15:31.123Z\","
                "\"delivered_at\":\"2026-01-31T08:15:31.123Z\"}");
}

static void an_update_speaks_the_orders_words(void **state) {
    (void)state;
    struct buf out = {0};
    struct uuid event_id = uuid_of(SHIPMENT);
    struct shipment_change change = {.before = SHIPMENT_PROCESSING, .shipment = shipment_new()};
    change.shipment.status = SHIPMENT_SHIPPED;
    shipment_update_json(&out, &change, &event_id);
    assert_json(&out, "{\"eventType\":\"ORDER_STATUS_UPDATE\",\"eventId\":\"" SHIPMENT
                      "\",\"orderId\":\"" ORDER "\","
                      "\"previousStatus\":\"PENDING_SHIPMENT\",\"currentStatus\":\"SHIPPED\","
                      "\"timestamp\":\"2026-01-31T08:15:30.123Z\"}");
    change.before = SHIPMENT_SHIPPED;
    change.shipment.status = SHIPMENT_DELIVERED;
    change.shipment.tracking_number = "T1";
    change.shipment.carrier = "C1";
    shipment_update_json(&out, &change, &event_id);
    assert_json(
        &out, "{\"eventType\":\"ORDER_STATUS_UPDATE\",\"eventId\":\"" SHIPMENT "\",\"orderId\":\"" ORDER "\","
              "\"previousStatus\":\"SHIPPED\",\"currentStatus\":\"DELIVERED\","
              "\"timestamp\":\"2026-01-31T08:15:30.123Z\",\"trackingNumber\":\"T1\",\"carrier\":\"C1\"}");
}

static void an_audit_trail_names_order_and_shipment_once(void **state) {
    (void)state;
    struct buf out = {0};
    struct shipment_event events[] = {
        {.shipment_id = uuid_of(SHIPMENT),
         .order_id = uuid_of(ORDER),
         .status = "PROCESSING",
         .description = "Shipment created",
         .actor = "order-events",
         .request_id = "r1",
         .occurred_ms = CREATED_MS},
        {.previous_status = "PROCESSING",
         .status = "SHIPPED",
         .description = "Shipped",
         .tracking_number = "T1",
         .carrier = "C1",
         .actor = "anonymous",
         .request_id = "r2",
         .occurred_ms = CREATED_MS},
    };
    shipment_events_json(&out, events, 2);
    assert_json(&out,
                "{\"order_id\":\"" ORDER "\",\"shipment_id\":\"" SHIPMENT "\",\"events\":["
                "{\"description\":\"Shipment created\",\"previous_status\":null,\"status\":\"PROCESSING\","
                "\"tracking_number\":null,\"carrier\":null,\"actor\":\"order-events\","
                "\"request_id\":\"r1\",\"occurred_at\":\"2026-01-31T08:15:30.123Z\"},"
                "{\"description\":\"Shipped\",\"previous_status\":\"PROCESSING\",\"status\":\"SHIPPED\","
                "\"tracking_number\":\"T1\",\"carrier\":\"C1\",\"actor\":\"anonymous\","
                "\"request_id\":\"r2\",\"occurred_at\":\"2026-01-31T08:15:30.123Z\"}]}");
}

/* Text of n characters of two bytes each. */
static const char *umlauts(size_t n) {
    static char text[2 * (SHIPMENT_MAX_TEXT + 1) + 1];
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, "ü", 2);
    text[2 * n] = '\0';
    return text;
}

static void a_change_is_read(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum shipment_status status;
        const char *tracking_number, *carrier;
    } cases[] = {
        {"{\"status\":\"SHIPPED\"}", SHIPMENT_SHIPPED, NULL, NULL},
        {"{\"status\":\"PROCESSING\",\"tracking_number\":null,\"carrier\":null}", SHIPMENT_PROCESSING, NULL,
         NULL},
        {"{\"carrier\":\"C\",\"status\":\"DELIVERED\",\"tracking_number\":\"T 1\"}", SHIPMENT_DELIVERED,
         "T 1", "C"},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct http_faults faults = {0};
        struct shipment_change change = {0};
        assert_true(shipment_change_parse(cases[i].body, strlen(cases[i].body), &arena, &change, &faults));
        assert_int_equal(change.status, cases[i].status);
        assert_int_equal(change.tracking_number != NULL, cases[i].tracking_number != NULL);
        if (change.tracking_number)
            assert_string_equal(change.tracking_number, cases[i].tracking_number);
        assert_int_equal(change.carrier != NULL, cases[i].carrier != NULL);
        if (change.carrier)
            assert_string_equal(change.carrier, cases[i].carrier);
        http_faults_free(&faults);
        arena_free(&arena);
    }
}

static void a_detail_is_counted_in_characters(void **state) {
    (void)state;
    for (size_t n = SHIPMENT_MAX_TEXT; n <= SHIPMENT_MAX_TEXT + 1; n++) {
        struct arena arena = {0};
        struct http_faults faults = {0};
        struct shipment_change change = {0};
        struct buf body = {0};
        buf_printf(&body, "{\"status\":\"SHIPPED\",\"carrier\":\"%s\"}", umlauts(n));
        assert_int_equal(shipment_change_parse(body.data, body.len, &arena, &change, &faults),
                         n == SHIPMENT_MAX_TEXT);
        buf_free(&body);
        http_faults_free(&faults);
        arena_free(&arena);
    }
}

static void the_faults_of_a_change_are_all_named(void **state) {
    (void)state;
    static const struct {
        const char *body;
        const char *pointers[4];
    } cases[] = {
        {"", {""}},
        {"[]", {""}},
        {"{\"status\":\"SHIPPED\",\"status\":\"SHIPPED\"}", {""}},
        {"{}", {"/status"}},
        {"{\"status\":null}", {"/status"}},
        {"{\"status\":\"shipped\"}", {"/status"}},
        {"{\"status\":1}", {"/status"}},
        {"{\"status\":\"SHIPPED\",\"tracking_number\":\"\"}", {"/tracking_number"}},
        {"{\"status\":\"SHIPPED\",\"tracking_number\":7}", {"/tracking_number"}},
        {"{\"status\":\"SHIPPED\",\"carrier\":\"a\\nb\"}", {"/carrier"}},
        {"{\"status\":\"SHIPPED\",\"carrier\":\"\\u007f\"}", {"/carrier"}},
        {"{\"status\":\"SHIPPED\",\"carrier\":\"\\u0085\"}", {"/carrier"}},
        {"{\"status\":\"SHIPPED\",\"a/b~c\":1}", {"/a~1b~0c"}},
        {"{\"status\":\"X\",\"tracking_number\":[],\"carrier\":{},\"customer_id\":\"c\"}",
         {"/status", "/tracking_number", "/carrier", "/customer_id"}},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct http_faults faults = {0};
        struct shipment_change change = {0};
        unsigned expected = 0;
        assert_false(shipment_change_parse(cases[i].body, strlen(cases[i].body), &arena, &change, &faults));
        while (expected < 4 && cases[i].pointers[expected])
            expected++;
        if (faults.count != expected)
            fail_msg("%s: %u faults: %s", cases[i].body, faults.count, faults.json.data);
        for (unsigned j = 0; j < expected; j++) {
            char member[64];
            snprintf(member, sizeof member, "\"pointer\":\"%s\"", cases[i].pointers[j]);
            if (!strstr(faults.json.data, member))
                fail_msg("%s: no %s in %s", cases[i].body, member, faults.json.data);
        }
        http_faults_free(&faults);
        arena_free(&arena);
    }
}

static void an_order_is_read(void **state) {
    (void)state;
    static const char body[] = "{\"eventType\":\"ORDER_CREATED\",\"eventId\":\"e\",\"orderId\":\"" ORDER "\","
                               "\"customerId\":\"c-1\",\"items\":[],\"totalAmount\":1.5,\"more\":{}}";
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind = SHIPMENT_CUSTOMER_ERASED;
    char reason[64] = "";
    assert_true(shipment_order_parse(body, strlen(body), &arena, &shipment, &kind, reason, sizeof reason));
    struct uuid order_id = uuid_of(ORDER);
    assert_memory_equal(&shipment.order_id, &order_id, sizeof order_id);
    assert_string_equal(shipment.customer_id, "c-1");
    assert_null(shipment.client_id); /* the sender is of an earlier version */
    assert_int_equal(shipment.status, SHIPMENT_PROCESSING);
    assert_int_equal(kind, SHIPMENT_ORDERED);
    arena_free(&arena);
}

static void the_client_of_an_order_is_read(void **state) {
    (void)state;
    static const char body[] = "{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER
                               "\",\"customerId\":\"c-1\",\"clientId\":\"shop\"}";
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind = SHIPMENT_CUSTOMER_ERASED;
    char reason[64] = "";
    assert_true(shipment_order_parse(body, strlen(body), &arena, &shipment, &kind, reason, sizeof reason));
    assert_string_equal(shipment.client_id, "shop");
    arena_free(&arena);
}

static void an_order_that_has_left_tells_what_it_knows(void **state) {
    (void)state;
    static const char body[] = "{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER
                               "\",\"customerId\":\"c-1\",\"status\":\"SHIPPED\",\"trackingNumber\":\"T-1\"}";
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind = SHIPMENT_CUSTOMER_ERASED;
    char reason[64] = "";
    assert_true(shipment_order_parse(body, strlen(body), &arena, &shipment, &kind, reason, sizeof reason));
    assert_int_equal(kind, SHIPMENT_ORDERED);
    assert_int_equal(shipment.status, SHIPMENT_SHIPPED);
    assert_string_equal(shipment.tracking_number, "T-1");
    assert_null(shipment.carrier);
    arena_free(&arena);
}

static void a_cancellation_has_what_a_shipment_needs(void **state) {
    (void)state;
    static const char body[] =
        "{\"eventType\":\"ORDER_CANCEL_REQUESTED\",\"eventId\":\"e\",\"orderId\":\"" ORDER
        "\",\"customerId\":\"c-1\",\"clientId\":\"shop\"}";
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind = SHIPMENT_ORDERED;
    char reason[64] = "";
    assert_true(shipment_order_parse(body, strlen(body), &arena, &shipment, &kind, reason, sizeof reason));
    assert_int_equal(kind, SHIPMENT_ORDER_CANCELLED);
    assert_string_equal(shipment.customer_id, "c-1");
    assert_string_equal(shipment.client_id, "shop");
    arena_free(&arena);
}

static void an_erasure_has_what_takes_the_place_of_the_customer(void **state) {
    (void)state;
    static const char body[] = "{\"eventType\":\"CUSTOMER_ERASED\",\"eventId\":\"e\",\"orderId\":\"" ORDER
                               "\",\"customerId\":\"erased-0\",\"timestamp\":\"2026-01-02T03:04:05.678Z\"}";
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind = SHIPMENT_ORDERED;
    char reason[64] = "";
    assert_true(shipment_order_parse(body, strlen(body), &arena, &shipment, &kind, reason, sizeof reason));
    assert_int_equal(kind, SHIPMENT_CUSTOMER_ERASED);
    struct uuid order_id = uuid_of(ORDER);
    assert_memory_equal(&shipment.order_id, &order_id, sizeof order_id);
    assert_string_equal(shipment.customer_id, "erased-0");
    arena_free(&arena);
}

static void what_is_no_order_is_told(void **state) {
    (void)state;
    static const struct {
        const char *body, *reason;
    } cases[] = {
        {"", NULL},
        {"hello", NULL},
        {"[1]", NULL},
        {"{}", "eventType"},
        {"{\"eventType\":\"ORDER_STATUS_UPDATE\",\"orderId\":\"" ORDER "\",\"customerId\":\"c\"}",
         "eventType"},
        {"{\"eventType\":1,\"orderId\":\"" ORDER "\",\"customerId\":\"c\"}", "eventType"},
        {"{\"eventType\":\"ORDER_CREATED\",\"customerId\":\"c\"}", "orderId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"1\",\"customerId\":\"c\"}", "orderId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\"}", "customerId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\",\"customerId\":\"\"}", "customerId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\",\"customerId\":\"a\\u0001\"}",
         "customerId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\",\"customerId\":\"c\",\"clientId\":\"\"}",
         "clientId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\",\"customerId\":\"c\",\"clientId\":null}",
         "clientId"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER
         "\",\"customerId\":\"c\",\"status\":\"LOST\"}",
         "status"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER "\",\"customerId\":\"c\",\"status\":1}",
         "status"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER
         "\",\"customerId\":\"c\",\"status\":\"SHIPPED\",\"trackingNumber\":\"\"}",
         "trackingNumber"},
        {"{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ORDER
         "\",\"customerId\":\"c\",\"status\":\"SHIPPED\",\"carrier\":2}",
         "carrier"},
        {"{\"eventType\":\"CUSTOMER_ERASED\",\"customerId\":\"c\"}", "orderId"},
        {"{\"eventType\":\"CUSTOMER_ERASED\",\"orderId\":\"" ORDER "\"}", "customerId"},
        {"{\"eventType\":\"CUSTOMER_ERASED\",\"version\":2,\"orderId\":\"" ORDER "\",\"customerId\":\"c\"}",
         "version"},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct shipment shipment = {0};
        enum shipment_order_event kind = SHIPMENT_CUSTOMER_ERASED;
        char reason[64] = "";
        assert_false(shipment_order_parse(cases[i].body, strlen(cases[i].body), &arena, &shipment, &kind,
                                          reason, sizeof reason));
        assert_string_not_equal(reason, "");
        if (cases[i].reason && !strstr(reason, cases[i].reason))
            fail_msg("%s: %s", cases[i].body, reason);
        arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_view_of_a_new_shipment_has_nulls),
        cmocka_unit_test(the_view_of_a_delivered_shipment_has_everything),
        cmocka_unit_test(an_update_speaks_the_orders_words),
        cmocka_unit_test(an_audit_trail_names_order_and_shipment_once),
        cmocka_unit_test(a_change_is_read),
        cmocka_unit_test(a_detail_is_counted_in_characters),
        cmocka_unit_test(the_faults_of_a_change_are_all_named),
        cmocka_unit_test(an_order_is_read),
        cmocka_unit_test(the_client_of_an_order_is_read),
        cmocka_unit_test(an_order_that_has_left_tells_what_it_knows),
        cmocka_unit_test(a_cancellation_has_what_a_shipment_needs),
        cmocka_unit_test(an_erasure_has_what_takes_the_place_of_the_customer),
        cmocka_unit_test(what_is_no_order_is_told),
    };
    return cmocka_run_group_tests_name("shipment_json", tests, NULL, NULL);
}
