/* Currency, reference, metadata and times of an order: what is accepted, what identifies a payload, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order_json.h"

#include <string.h>

#include "fakes/rows.h"

#define BODY(price, more)                                                                                    \
    "{\"customer_id\":\"c\",\"items\":[{\"product_id\":\"p\",\"quantity\":2,\"unit_price\":" price "}]" more \
    "}"

/* Reads a body, of a shop whose default is USD. */
static bool read_order(const char *body, struct arena *arena, struct order *order, struct buf *faults) {
    struct http_faults found = {0};
    *order = (struct order){.currency = "USD"};
    bool ok = order_from_json(body, strlen(body), arena, order, &found);
    buf_str(faults, found.json.data ? found.json.data : "");
    http_faults_free(&found);
    return ok;
}

static void what_is_missing_is_the_default_or_nothing(void **state) {
    (void)state;
    struct arena arena = {0};
    struct order order;
    struct buf faults = {0};
    assert_true(read_order(BODY("1.5", ""), &arena, &order, &faults));
    assert_string_equal(order.currency, "USD");
    assert_false(order.currency_named || order.reference || order.metadata || order_is_extended(&order));
    assert_true(read_order(BODY("1.5", ",\"metadata\":{}"), &arena, &order, &faults));
    assert_null(order.metadata);
    buf_free(&faults);
    arena_free(&arena);
}

static void what_is_sent_is_kept(void **state) {
    (void)state;
    struct arena arena = {0};
    struct order order;
    struct buf faults = {0};
    assert_true(read_order(
        BODY("1500", ",\"currency\":\"JPY\",\"reference\":\"R 1\",\"metadata\":{\"b\":\"1\\n\",\"B\":"
                     "\"\",\"a.c\":\"\\\"\"}"),
        &arena, &order, &faults));
    assert_string_equal(order.currency, "JPY");
    assert_true(order.currency_named && order_is_extended(&order));
    assert_string_equal(order.reference, "R 1");
    assert_string_equal(order.metadata, "{\"B\":\"\",\"a.c\":\"\\\"\",\"b\":\"1\\n\"}"); /* sorted */
    assert_int_equal(order.total, 300000);
    buf_free(&faults);
    arena_free(&arena);
}

static void what_is_refused_and_why(void **state) {
    (void)state;
    static const struct {
        const char *body, *fault;
    } cases[] = {
        {BODY("1", ",\"currency\":\"eur\""), "\"/currency\",\"detail\":\"must be a code"},
        {BODY("1", ",\"currency\":\"EURO\""), "\"/currency\",\"detail\":\"must be a code"},
        {BODY("1", ",\"currency\":null"), "\"/currency\",\"detail\":\"must be a code"},
        {BODY("1", ",\"currency\":\"DEM\""), "DEM is not a currency"},
        {BODY("1", ",\"currency\":\"KWD\""), "KWD has 3 decimals; only"},
        {BODY("10.50", ",\"currency\":\"JPY\""),
         "\"/items/0/unit_price\",\"detail\":\"must be a whole number, as JPY"},
        {BODY("0", ",\"currency\":\"JPY\""), "\"/items/0/unit_price\",\"detail\":\"must be a number from"},
        {BODY("1", ",\"reference\":\"\""), "\"/reference\""},
        {BODY("1", ",\"reference\":\"a\\u0085\""), "\"/reference\""},
        {BODY("1", ",\"reference\":{}"), "\"/reference\",\"detail\":\"must be a string"},
        {BODY("1", ",\"metadata\":\"x\""), "\"/metadata\",\"detail\":\"must be an object"},
        {BODY("1", ",\"metadata\":{\"a/b\":\"x\"}"), "\"/metadata/a~1b\""},
        {BODY("1", ",\"metadata\":{\"k\":null}"), "\"/metadata/k\",\"detail\":\"must be a string"},
        {BODY("1", ",\"metadata\":{\"k\":\"a\",\"k\":\"b\"}"), "uplicate"},
    };
    for_each_row(i, cases, "%s", cases[i].body) {
        struct arena arena = {0};
        struct order order;
        struct buf faults = {0};
        assert_false(read_order(cases[i].body, &arena, &order, &faults));
        assert_non_null(strstr(faults.data, cases[i].fault));
        buf_free(&faults);
        arena_free(&arena);
    }
}

static void a_whole_number_is_told_by_its_value(void **state) {
    (void)state;
    static const char *const bodies[] = {BODY("10", ",\"currency\":\"KRW\""),
                                         BODY("10.00", ",\"currency\":\"KRW\""),
                                         BODY("1e1", ",\"currency\":\"KRW\"")};
    for_each_row(i, bodies, "%s", bodies[i]) {
        struct arena arena = {0};
        struct order order;
        struct buf faults = {0};
        assert_true(read_order(bodies[i], &arena, &order, &faults));
        assert_int_equal(order.total, 2000);
        buf_free(&faults);
        arena_free(&arena);
    }
}

static void every_member_is_part_of_the_payload(void **state) {
    (void)state;
    static const char *const bodies[] = {
        BODY("1", ""),
        BODY("1", ",\"currency\":\"USD\""),
        BODY("1", ",\"currency\":\"EUR\""),
        BODY("1", ",\"reference\":\"USD\""),
        BODY("1", ",\"reference\":\"R\""),
        BODY("1", ",\"reference\":\"{\\\"k\\\":\\\"v\\\"}\""),
        BODY("1", ",\"metadata\":{\"k\":\"v\"}"),
        BODY("1", ",\"metadata\":{\"k\":\"w\"}"),
        BODY("1", ",\"metadata\":{\"k\":\"v\",\"l\":\"\"}"),
        BODY("1", ",\"currency\":\"EUR\",\"metadata\":{\"k\":\"v\"}"),
    };
    uint8_t prints[sizeof bodies / sizeof *bodies][SHA256_SIZE];
    for_each_row(i, bodies, "%s", bodies[i]) {
        struct arena arena = {0};
        struct order order;
        struct buf faults = {0};
        assert_true(read_order(bodies[i], &arena, &order, &faults));
        assert_true(order_fingerprint(&order, prints[i]));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(prints[i], prints[j], SHA256_SIZE);
        buf_free(&faults);
        arena_free(&arena);
    }
}

/* Keys that the release before has stored must be replayed. */
static void without_them_the_fingerprint_is_the_old_one(void **state) {
    (void)state;
    struct arena arena = {0};
    struct order order;
    struct buf faults = {0};
    uint8_t print[SHA256_SIZE], old[SHA256_SIZE];
    assert_true(read_order(BODY("1", ""), &arena, &order, &faults));
    assert_true(order_fingerprint(&order, print));
    sha256("c\np\n2\n100", 9, old);
    assert_memory_equal(print, old, sizeof old);
    buf_free(&faults);
    arena_free(&arena);
}

static void what_is_written(void **state) {
    (void)state;
    struct order_item item = {"p", 2, 150000};
    struct order order = {.client_id = "shop",
                          .customer_id = "c",
                          .total = 300000,
                          .items = &item,
                          .item_count = 1,
                          .created_ms = 1000,
                          .updated_ms = 1000,
                          .currency = "JPY"};
    struct buf out = {0};
    order_receipt_json(&out, &order);
    assert_non_null(strstr(out.data, "\"total_amount\":3000,\"created_at\":\"1970-01-01T00:00:01.000Z\"}"));
    order.reference = "R";
    order.metadata = "{\"k\":\"v\"}";
    order.shipped_ms = 2000;
    buf_clear(&out);
    order_receipt_json(&out, &order);
    assert_non_null(strstr(out.data, "00:00:01.000Z\",\"currency\":\"JPY\",\"reference\":\"R\"}"));
    buf_clear(&out);
    order_view_json(&out, &order);
    assert_non_null(strstr(out.data, "\"total_amount\":3000,"));
    assert_non_null(strstr(out.data, "\"unit_price\":1500}"));
    assert_non_null(strstr(
        out.data, "\"updated_at\":\"1970-01-01T00:00:01.000Z\",\"currency\":\"JPY\",\"reference\":\"R\","
                  "\"metadata\":{\"k\":\"v\"},\"shipped_at\":\"1970-01-01T00:00:02.000Z\"}"));
    buf_clear(&out);
    order_created_json(&out, &order, &order.id); /* delivery-svc gets what it always got */
    assert_non_null(strstr(out.data, "\"unit_price\":1500.00}],\"totalAmount\":3000.00,"));
    assert_null(strstr(out.data, "JPY"));
    buf_free(&out);
}

static void the_time_of_a_status_is_noted_once(void **state) {
    (void)state;
    struct order order = {.status = ORDER_PENDING_SHIPMENT};
    assert_true(order_apply_status(&order, ORDER_SHIPPED, NULL, NULL, 50));
    order_note_time(&order, ORDER_PENDING_SHIPMENT, 40);
    assert_int_equal(order.shipped_ms, 40);
    assert_true(order_apply_status(&order, ORDER_SHIPPED, "T", NULL, 60));
    order_note_time(&order, ORDER_SHIPPED, 55); /* a correction */
    assert_int_equal(order.shipped_ms, 40);
    assert_true(order_apply_status(&order, ORDER_DELIVERED, NULL, NULL, 80));
    order_note_time(&order, ORDER_SHIPPED, 0); /* nobody said when */
    assert_int_equal(order.delivered_ms, 80);
    assert_int_equal(order.shipped_ms, 40);
    struct order old = {.status = ORDER_SHIPPED}; /* shipped before there were times */
    assert_true(order_apply_status(&old, ORDER_SHIPPED, "T", NULL, 60));
    order_note_time(&old, ORDER_SHIPPED, 55);
    assert_int_equal(old.shipped_ms, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_the_default_or_nothing),
        cmocka_unit_test(what_is_sent_is_kept),
        cmocka_unit_test(what_is_refused_and_why),
        cmocka_unit_test(a_whole_number_is_told_by_its_value),
        cmocka_unit_test(every_member_is_part_of_the_payload),
        cmocka_unit_test(without_them_the_fingerprint_is_the_old_one),
        cmocka_unit_test(what_is_written),
        cmocka_unit_test(the_time_of_a_status_is_noted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
