/* delivery-svc when memory is short: changes and events of shipments, on made-up stores. */
#include "failing.h"
#include "short_request.h"

#include "common/config/config.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "delivery/app.h"
#include "delivery/order_consumer.h"
#include "delivery/repeat_store.h"
#include "delivery/shipment_json.h"
#include "delivery/shipment_store.h"
#include "delivery/shipments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ID "0190163d-8694-739b-aea5-966c26f8ad91"
#define CREATED                                                                                              \
    "{\"eventType\":\"ORDER_CREATED\",\"orderId\":\"" ID "\",\"customerId\":\"customer-demo-001\"}"
#define CHANGE "{\"status\":\"SHIPPED\",\"tracking_number\":\"T1\",\"carrier\":\"C1\"}"

void outbox_wake(struct outbox *outbox) {
    (void)outbox;
}

enum db_status shipment_store_create(struct db *db, const struct shipment shipments[], size_t n,
                                     size_t *created) {
    (void)db;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(shipments[i].customer_id, "customer-demo-001");
        assert_true(shipments[i].traceparent && shipments[i].correlation_id);
    }
    *created = n;
    return DB_OK;
}

enum db_status shipment_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                   struct shipment_rows *rows) {
    (void)db, (void)order_ids, (void)n, (void)rows;
    return DB_FAILED;
}

const struct shipment *shipment_rows_find(const struct shipment_rows *rows, const struct uuid *order_id) {
    (void)rows, (void)order_id;
    return NULL;
}

void shipment_rows_free(struct shipment_rows *rows) {
    (void)rows;
}

/* Each shipment is as in the change, and nothing may follow. */
enum db_status shipment_store_change(struct db *db, const struct shipment_pace *pace,
                                     struct shipment_change *const changes[], size_t n,
                                     struct shipment_rows *rows) {
    (void)db, (void)pace, (void)rows;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(changes[i]->tracking_number, "T1");
        changes[i]->before = SHIPMENT_PROCESSING;
        changes[i]->verdict = SHIPMENT_REFUSED;
    }
    return DB_OK;
}

enum db_status shipment_store_advance(struct db *db, const struct shipment_pace *pace, struct db_walk *walk,
                                      size_t *count) {
    (void)db, (void)pace, (void)walk, (void)count;
    return DB_FAILED;
}

enum db_status shipment_store_next_due(struct db *db, struct db_walk *walk, int64_t limit_ms,
                                       int64_t *wait_ms) {
    (void)db, (void)walk, (void)limit_ms, (void)wait_ms;
    return DB_FAILED;
}

enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) {
    (void)db, (void)shipments, (void)n;
    return DB_OK;
}

static bool change_of_a_shipment(void) {
    struct arena arena = {0};
    struct shipment_change change = {0};
    struct http_faults faults = {0};
    bool good = shipment_change_parse(CHANGE, sizeof CHANGE - 1, &arena, &change, &faults);
    bool read = good && !arena.failed;
    assert_int_equal(faults.count, 0);
    if (read) {
        assert_string_equal(change.tracking_number, "T1");
        assert_string_equal(change.carrier, "C1");
    }
    arena_free(&arena);
    return read;
}

static bool order_created(void) {
    struct arena arena = {0};
    struct shipment shipment = {0};
    enum shipment_order_event kind;
    char reason[256] = "?";
    bool good =
        shipment_order_parse(CREATED, sizeof CREATED - 1, &arena, &shipment, &kind, reason, sizeof reason);
    bool read = good && !arena.failed;
    if (read)
        assert_string_equal(shipment.customer_id, "customer-demo-001");
    else
        assert_true(arena.failed); /* it is not the event's fault: it comes again */
    arena_free(&arena);
    return read;
}

static bool shipment_as_json(void) {
    struct shipment_change change = {
        .shipment = {.status = SHIPMENT_SHIPPED, .tracking_number = "T", .carrier = "C"}};
    const struct shipment_event event = {.status = "SHIPPED", .description = "Shipped", .actor = "carrier"};
    struct buf texts[3] = {{0}};
    bool whole = true;
    shipment_view_json(&texts[0], &change.shipment);
    shipment_events_json(&texts[1], &event, 1);
    shipment_update_json(&texts[2], &change, &change.shipment_id);
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *value = texts[i].failed ? NULL : json_loadb(texts[i].data, texts[i].len, 0, NULL);
        assert_true(value || texts[i].failed);
        whole = whole && value;
        json_decref(value);
        buf_free(&texts[i]);
    }
    return whole;
}

static const struct config config = {.carrier_simulation = true};
static struct delivery_app app = {.service = {.config = &config}};

static bool get(void) {
    struct http_request request = {.request_id = "id", .params = {ID}};
    shipments_get_prepare(&request);
    bool whole = prepared(&request);
    fake_end(&request);
    return whole;
}

static bool post_status(void) {
    struct http_request request = {.request_id = "id", .params = {ID}}, *requests[] = {&request};
    struct http_worker worker = {.app = &app};
    buf_str(&request.body, CHANGE);
    if (request.body.failed) { /* the server answers this */
        fake_end(&request);
        return false;
    }
    shipments_status_prepare(&request);
    bool whole = prepared(&request);
    if (whole) {
        assert_int_equal(shipments_status_run(&worker, requests, 1), OUTCOME_DONE);
        http_reply_shortage(&request);
        whole = request.reply.status == 409;
        assert_true(!whole || strstr(request.reply.body.data, "\"allowed\":[\"SHIPPED\",\"CANCELLED\"]"));
        return answered(&request, 409, NULL);
    }
    fake_end(&request);
    return false;
}

static bool messages_of_orders(void) {
    static const struct queue_message message = {
        .id = "m", .body = CREATED, .body_len = sizeof CREATED - 1, .correlation_id = "", .traceparent = ""};
    struct consumer_message messages[] = {{.message = &message}, {.message = &message}};
    enum db_status status = order_consumer_handle(&app, NULL, messages, COUNT(messages));
    if (status != DB_OK) { /* then they come again */
        assert_int_equal(status, DB_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < COUNT(messages); i++)
        assert_int_equal(messages[i].outcome, CONSUMER_DONE);
    return true;
}

int main(void) {
    static const struct memory_scenario scenarios[] = {
        {"a change of a shipment", change_of_a_shipment},
        {"an ORDER_CREATED", order_created},
        {"a shipment as JSON", shipment_as_json},
        {"GET /delivery/shipment/:orderId", get},
        {"POST /delivery/shipment/:shipmentId/status", post_status},
        {"messages of orders", messages_of_orders},
    };
    return memory_run(scenarios, COUNT(scenarios));
}
