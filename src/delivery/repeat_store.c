/* The SQL of publishing the status of shipments again. */
#include "repeat_store.h"

#include "common/events/outbox_rows.h"
#include "shipment_json.h"

/* Locks the shipments, so that the outbox gets the events of an order in the order of its changes. */
static const struct db_query lock_query = {
    "repeat_lock", "SELECT order_id, status, tracking_number, carrier, correlation_id, traceparent,"
                   "       (extract(epoch FROM updated_at) * 1000)::bigint"
                   "  FROM shipments"
                   " WHERE order_id = ANY ($1) AND status <> 'PROCESSING'"
                   " ORDER BY id"
                   "   FOR UPDATE"};
enum { ORDER_ID, STATUS, TRACKING_NUMBER, CARRIER, CORRELATION_ID, TRACEPARENT, UPDATED };

static const struct db_query repeat_query = {"repeat_write", OUTBOX_INSERT_ROWS("delivery_outbox")};

/* Rebuilds the change that led to the status of the shipment. False when the status is unknown. */
static bool read_last_change(const struct db_result *result, size_t row, struct shipment_change *out) {
    *out = (struct shipment_change){.shipment = {.order_id = db_uuid(result, row, ORDER_ID),
                                                 .tracking_number = db_text(result, row, TRACKING_NUMBER),
                                                 .carrier = db_text(result, row, CARRIER),
                                                 .updated_ms = db_int(result, row, UPDATED)}};
    if (!shipment_status_parse(db_text(result, row, STATUS), &out->shipment.status))
        return false;
    out->before = out->shipment.status == SHIPMENT_DELIVERED ? SHIPMENT_SHIPPED : SHIPMENT_PROCESSING;
    return true;
}

static enum db_status write_updates(struct db *db, const struct db_result *left) {
    struct outbox_rows rows;
    struct buf payload = {0};
    struct shipment_change change;
    outbox_rows_open(&rows);
    for (size_t row = 0; row < db_rows(left); row++) {
        struct uuid event_id = uuid_new();
        if (!read_last_change(left, row, &change))
            continue;
        buf_clear(&payload);
        shipment_update_json(&payload, &change, &event_id);
        outbox_rows_add(&rows, &event_id, &change.shipment.order_id, &payload,
                        db_text(left, row, CORRELATION_ID), db_text(left, row, TRACEPARENT));
    }
    buf_free(&payload);
    return outbox_rows_insert(&rows, db, &repeat_query);
}

struct repeat {
    const struct shipment *shipments;
    size_t n;
};

static enum db_status repeat_updates(struct db *db, void *arg) {
    const struct repeat *repeat = arg;
    struct db_params p = {0};
    struct db_result *left = NULL;
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < repeat->n; i++)
        db_add_uuid(&p, ids, &repeat->shipments[i].order_id);
    enum db_status status = db_run(db, &lock_query, &p, &left);
    if (status == DB_OK && db_rows(left))
        status = write_updates(db, left);
    db_result_free(left);
    db_params_free(&p);
    return status;
}

enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) {
    struct repeat repeat = {shipments, n};
    return db_transaction(db, repeat_updates, &repeat);
}
