/* The SQL of publishing the status of shipments again. */
#include "repeat_store.h"

#include "common/events/outbox_rows.h"
#include "shipment_json.h"

/* The shipments are locked, so that the outbox gets the events of an order in the order of its changes. */
#define SELECT_LEFT                                                                                          \
    "SELECT order_id, status, tracking_number, carrier, correlation_id, traceparent,"                        \
    "       (extract(epoch FROM updated_at) * 1000)::bigint"                                                 \
    "  FROM shipments"

static const struct db_query lock_query = {
    "repeat_lock",
    SELECT_LEFT " WHERE order_id = ANY ($1) AND status <> 'PROCESSING' ORDER BY id FOR UPDATE"};

static const struct db_query lock_corrected_query = {
    "repeat_lock_corrected",
    SELECT_LEFT " WHERE order_id IN (SELECT order_id FROM delivery_corrections"
                "                     WHERE quiet_since <= now() - $1 * interval '1 ms'"
                "                     ORDER BY quiet_since"
                "                     LIMIT $2)"
                " ORDER BY id"
                "   FOR UPDATE SKIP LOCKED"};

/* A correction is repeated again after as much time as has passed since it was made, for a day. Whoever changes its row
 * has locked the shipment. */
static const struct db_query put_off_query = {
    "repeat_put_off",
    "WITH over AS ("
    "  DELETE FROM delivery_corrections WHERE order_id = ANY ($1) AND corrected_at <= now() - interval '1 day'"
    ")"
    " UPDATE delivery_corrections"
    "    SET quiet_since = greatest(now(), now() + (now() - corrected_at) - $2 * interval '1 ms')"
    "  WHERE order_id = ANY ($1) AND corrected_at > now() - interval '1 day'"};
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

/* One after the other, the newest first: the broker may be behind already, and what was lost is of the last moments. */
#define IN_TURN(order) "now() + (row_number() OVER (ORDER BY " order ") - 1) * interval '5 ms'"

/* clang-format off */
/* A correction of a day ago is published for the last time. Ids sort by time. Locks in the order of the ids, as everybody who
 * changes shipments, and before any correction is locked, so that nobody deadlocks. */
static const struct db_query recent_query = {
    "repeat_recent",
    "WITH recent AS ("
    "  SELECT id FROM shipments WHERE status <> 'PROCESSING' ORDER BY id DESC LIMIT 10000"
    "), kept AS ("
    "  SELECT id, order_id FROM shipments WHERE id IN (SELECT id FROM recent)"
    "   ORDER BY id FOR KEY SHARE"
    ")"
    " INSERT INTO delivery_corrections (order_id, corrected_at, quiet_since)"
    " SELECT order_id, now() - interval '1 day', " IN_TURN("id DESC")
    "   FROM kept"
    " ON CONFLICT (order_id) DO NOTHING"};

/* Those that wait to be repeated later, but not those that recent_query has just put there. One that is locked is being published. */
static const struct db_query hasten_query = {
    "repeat_hasten",
    "WITH waiting AS ("
    "  SELECT order_id, corrected_at FROM delivery_corrections"
    "   WHERE quiet_since > now() AND corrected_at <> now() - interval '1 day'"
    "   ORDER BY order_id FOR UPDATE SKIP LOCKED"
    ")"
    " UPDATE delivery_corrections c"
    "    SET quiet_since = soon.at"
    "   FROM (SELECT order_id, " IN_TURN("corrected_at DESC") " AS at FROM waiting) soon"
    "  WHERE c.order_id = soon.order_id"};
/* clang-format on */

static const struct db_query name_query = {
    "repeat_name", "INSERT INTO delivery_database (identity) VALUES ($1) ON CONFLICT (one) DO NOTHING"};

/* Of several replicas one gets the row. */
static const struct db_query rename_query = {
    "repeat_rename", "UPDATE delivery_database SET identity = $1 WHERE identity <> $1 RETURNING identity"};

static enum db_status repeat_recent(struct db *db, void *arg) {
    const char *const *database = arg;
    struct db_params p = {0};
    struct db_result *renamed = NULL;
    db_text_param(&p, *database);
    enum db_status status = db_run(db, &name_query, &p, NULL);
    if (status == DB_OK)
        status = db_run(db, &rename_query, &p, &renamed);
    db_params_free(&p);
    bool replaced = status == DB_OK && db_rows(renamed) > 0;
    db_result_free(renamed);
    if (replaced)
        status = db_run(db, &recent_query, NULL, NULL);
    if (replaced && status == DB_OK)
        status = db_run(db, &hasten_query, NULL, NULL);
    return status;
}

enum db_status repeat_store_follow(struct db *db, const char *database) {
    return db_transaction(db, repeat_recent, &database);
}

/* Notes that the corrections of these shipments are published again. */
static enum db_status put_off(struct db *db, const struct db_result *left, int64_t after_ms) {
    struct db_params p = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t row = 0; row < db_rows(left); row++) {
        struct uuid id = db_uuid(left, row, ORDER_ID);
        db_add_uuid(&p, ids, &id);
    }
    db_int_param(&p, after_ms);
    enum db_status status = db_run(db, &put_off_query, &p, NULL);
    db_params_free(&p);
    return status;
}

struct corrections {
    int64_t after_ms;
    size_t count;
};

static enum db_status repeat_corrections(struct db *db, void *arg) {
    struct corrections *work = arg;
    struct db_params p = {0};
    struct db_result *left = NULL;
    db_int_param(&p, work->after_ms);
    db_int_param(&p, REPEAT_LIMIT);
    enum db_status status = db_run(db, &lock_corrected_query, &p, &left);
    work->count = db_rows(left);
    if (status == DB_OK && work->count)
        status = put_off(db, left, work->after_ms);
    if (status == DB_OK && work->count)
        status = write_updates(db, left);
    db_result_free(left);
    db_params_free(&p);
    return status;
}

enum db_status repeat_store_corrections(struct db *db, int64_t after_ms, size_t *count) {
    struct corrections work = {.after_ms = after_ms};
    enum db_status status = db_transaction(db, repeat_corrections, &work);
    *count = status == DB_OK ? work.count : 0;
    return status;
}
