/* The SQL of telling again where shipments are. */
#include "repeat_store.h"

#include "shipment_json.h"

/* Locked, so that the outbox has the events of an order in the order of its changes. */
static const struct db_query lock_left = {
    "repeat_lock",
    "SELECT order_id, status, tracking_number, carrier, correlation_id, traceparent,"
    "  (extract(epoch FROM updated_at) * 1000)::bigint"
    " FROM shipments WHERE order_id = ANY ($1) AND status <> 'PROCESSING' ORDER BY id FOR UPDATE"};

static const struct db_query insert_events = {
    "repeat_write", "INSERT INTO delivery_outbox (event_id, group_id, payload, correlation_id, traceparent)"
                    " SELECT * FROM unnest($1, $2, $3, $4, $5)"};

/* The change that brought the shipment where it is; false for a status that is none of ours. */
static bool read_last_change(const struct db_result *result, size_t row, struct shipment_change *out) {
    *out = (struct shipment_change){.shipment = {.order_id = db_uuid(result, row, 0),
                                                 .tracking_number = db_text(result, row, 2),
                                                 .carrier = db_text(result, row, 3),
                                                 .updated_ms = db_int(result, row, 6)}};
    if (!shipment_status_parse(db_text(result, row, 1), &out->shipment.status))
        return false;
    out->before = out->shipment.status == SHIPMENT_DELIVERED ? SHIPMENT_SHIPPED : SHIPMENT_PROCESSING;
    return true;
}

static enum db_status publish(struct db *db, const struct db_result *left) {
    struct db_params p = {0};
    struct buf payload = {0};
    struct shipment_change change;
    int event = db_array(&p, DB_UUID), group = db_array(&p, DB_UUID), text = db_array(&p, DB_TEXT);
    int correlation = db_array(&p, DB_TEXT), trace = db_array(&p, DB_TEXT);
    for (size_t row = 0; row < db_rows(left); row++) {
        struct uuid event_id = uuid_new();
        buf_clear(&payload);
        p.failed |= !read_last_change(left, row, &change);
        shipment_update_json(&payload, &change, &event_id);
        p.failed |= payload.failed;
        db_add_uuid(&p, event, &event_id);
        db_add_uuid(&p, group, &change.shipment.order_id);
        db_add_text(&p, text, payload.data);
        db_add_text(&p, correlation, db_text(left, row, 4));
        db_add_text(&p, trace, db_text(left, row, 5));
    }
    enum db_status status = db_run(db, &insert_events, &p, NULL);
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) {
    struct db_params p = {0};
    struct db_result *left = NULL;
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, ids, &shipments[i].order_id);
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = db_run(db, &lock_left, &p, &left);
    if (status == DB_OK && db_rows(left))
        status = publish(db, left);
    if (status == DB_OK)
        status = db_commit(db);
    db_rollback(db); /* of what was not committed */
    db_result_free(left);
    db_params_free(&p);
    return status;
}
