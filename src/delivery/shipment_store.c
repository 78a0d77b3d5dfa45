/* The SQL of shipments and their changes. */
#include "shipment_store.h"

#include "common/base/clock.h"
#include "shipment_json.h"

#include <stdlib.h>

#define EPOCH_MS(column) ", (extract(epoch FROM " column ") * 1000)::bigint"
#define SELECT_SHIPMENTS                                                                                     \
    "SELECT id, order_id, status, tracking_number, carrier, correlation_id, traceparent" EPOCH_MS(           \
        "created_at") EPOCH_MS("updated_at") EPOCH_MS("delivered_at") EPOCH_MS("next_transition_at")

const struct db_query shipment_store_probe = {"shipment_probe",
                                              "SELECT pg_current_xact_id(), EXISTS (SELECT FROM shipments)"};

static const struct db_query insert_shipments = {
    "shipment_create",
    "WITH created AS ("
    "  INSERT INTO shipments (id, order_id, customer_id, correlation_id, traceparent, created_at, updated_at,"
    "    next_transition_at)"
    "  SELECT id, order_id, customer_id, correlation_id, traceparent, created_at, created_at, next_at"
    "  FROM unnest($1, $2, $3, $4, $5, $6, $7)"
    "    AS s(id, order_id, customer_id, correlation_id, traceparent, created_at, next_at)"
    "  ORDER BY order_id"
    "  ON CONFLICT (order_id) DO NOTHING"
    "  RETURNING id, order_id, status, correlation_id, created_at)"
    " INSERT INTO delivery_events (shipment_id, order_id, status, description, actor, request_id, "
    "occurred_at)"
    " SELECT id, order_id, status, $8, 'order-events', correlation_id, created_at FROM created RETURNING id"};

static const struct db_query select_by_order = {
    "shipment_find", SELECT_SHIPMENTS " FROM shipments WHERE order_id = ANY ($1) ORDER BY order_id"};

/* Locked in the order of the ids, so that batches cannot block each other in a circle. */
static const struct db_query lock_by_id = {"shipment_lock", SELECT_SHIPMENTS
                                           " FROM shipments WHERE id = ANY ($1) ORDER BY id FOR UPDATE"};

static const struct db_query lock_due = {
    "shipment_lock_due",
    SELECT_SHIPMENTS " FROM (SELECT * FROM shipments WHERE next_transition_at <= now()"
                     " ORDER BY next_transition_at LIMIT $1 FOR UPDATE SKIP LOCKED) due ORDER BY id"};

/* A shipment that changed twice takes its last state; trail and events keep the order of the changes. */
static const struct db_query insert_changes = {
    "shipment_write",
    "WITH change AS ("
    "  SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    "    WITH ORDINALITY AS c(shipment_id, order_id, previous_status, status, description, tracking_number,"
    "      carrier, actor, request_id, at, delivered_at, next_at, event_id, payload, correlation_id,"
    "      traceparent, n)"
    "), updated AS ("
    "  UPDATE shipments s SET status = c.status, tracking_number = c.tracking_number, carrier = c.carrier,"
    "    updated_at = c.at, delivered_at = c.delivered_at, next_transition_at = c.next_at"
    "  FROM (SELECT DISTINCT ON (shipment_id) * FROM change ORDER BY shipment_id, n DESC) c"
    "  WHERE s.id = c.shipment_id"
    "), audited AS ("
    "  INSERT INTO delivery_events (shipment_id, order_id, previous_status, status, description,"
    "    tracking_number, carrier, actor, request_id, occurred_at)"
    "  SELECT shipment_id, order_id, previous_status, status, description, tracking_number, carrier, actor,"
    "    request_id, at FROM change ORDER BY n)"
    " INSERT INTO delivery_outbox (event_id, group_id, payload, correlation_id, traceparent)"
    " SELECT event_id, order_id, payload, correlation_id, traceparent FROM change"
    " WHERE payload IS NOT NULL ORDER BY n"};

/* Its arrays, $1 to $16. */
enum {
    SHIPMENT_ID,
    ORDER_ID,
    PREVIOUS_STATUS,
    STATUS,
    DESCRIPTION,
    TRACKING_NUMBER,
    CARRIER,
    ACTOR,
    REQUEST_ID,
    AT,
    DELIVERED_AT,
    NEXT_AT,
    EVENT_ID,
    PAYLOAD,
    CORRELATION_ID,
    TRACEPARENT,
    COLUMNS
};
static const enum db_type column_types[COLUMNS] = {
    [SHIPMENT_ID] = DB_UUID,  [ORDER_ID] = DB_UUID, [AT] = DB_TIME,
    [DELIVERED_AT] = DB_TIME, [NEXT_AT] = DB_TIME,  [EVENT_ID] = DB_UUID, /* the others: DB_TEXT, 0 */
};

static const struct db_query select_earliest = {
    "shipment_next_due",
    "SELECT (extract(epoch FROM min(next_transition_at) - now()) * 1000)::bigint FROM shipments"};

void shipment_rows_free(struct shipment_rows *rows) {
    free(rows->list);
    db_result_free(rows->result);
    *rows = (struct shipment_rows){0};
}

enum db_status shipment_store_create(struct db *db, const struct shipment shipments[], size_t n,
                                     size_t *created) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    int id = db_array(&p, DB_UUID), order_id = db_array(&p, DB_UUID), customer_id = db_array(&p, DB_TEXT);
    int correlation_id = db_array(&p, DB_TEXT), traceparent = db_array(&p, DB_TEXT);
    int created_at = db_array(&p, DB_TIME), next_at = db_array(&p, DB_TIME);
    db_text_param(&p, shipment_status_arrival(SHIPMENT_PROCESSING));
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &shipments[i].id);
        db_add_uuid(&p, order_id, &shipments[i].order_id);
        db_add_text(&p, customer_id, shipments[i].customer_id);
        db_add_text(&p, correlation_id, shipments[i].correlation_id);
        db_add_text(&p, traceparent, shipments[i].traceparent);
        db_add_time(&p, created_at, shipments[i].created_ms);
        db_add_time(&p, next_at, shipments[i].next_ms);
    }
    enum db_status status = db_run(db, &insert_shipments, &p, &result);
    *created = db_rows(result);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

static int64_t time_of(const struct db_result *result, size_t row, int column) {
    return db_is_null(result, row, column) ? DB_NO_TIME : db_int(result, row, column);
}

/* False for a status that is none of ours. */
static bool read_shipment(const struct db_result *result, size_t row, struct shipment *out) {
    *out = (struct shipment){.id = db_uuid(result, row, 0),
                             .order_id = db_uuid(result, row, 1),
                             .tracking_number = db_text(result, row, 3),
                             .carrier = db_text(result, row, 4),
                             .correlation_id = db_text(result, row, 5),
                             .traceparent = db_text(result, row, 6),
                             .created_ms = db_int(result, row, 7),
                             .updated_ms = db_int(result, row, 8),
                             .delivered_ms = time_of(result, row, 9),
                             .next_ms = time_of(result, row, 10)};
    return shipment_status_parse(db_text(result, row, 2), &out->status);
}

static enum db_status read_shipments(struct db *db, const struct db_query *query,
                                     const struct db_params *params, struct shipment_rows *rows) {
    enum db_status status = db_run(db, query, params, &rows->result);
    if (status != DB_OK)
        return status;
    size_t count = db_rows(rows->result);
    rows->list = calloc(count + 1, sizeof *rows->list);
    if (!rows->list)
        return DB_FAILED;
    for (; rows->count < count; rows->count++)
        if (!read_shipment(rows->result, rows->count, &rows->list[rows->count]))
            return DB_FAILED;
    return DB_OK;
}

enum db_status shipment_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                   struct shipment_rows *rows) {
    struct db_params p = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, ids, order_ids[i]);
    enum db_status status = read_shipments(db, &select_by_order, &p, rows);
    db_params_free(&p);
    return status;
}

static int compare_order_id(const void *key, const void *row) {
    return uuid_compare(key, &((const struct shipment *)row)->order_id);
}

const struct shipment *shipment_rows_find(const struct shipment_rows *rows, const struct uuid *order_id) {
    return bsearch(order_id, rows->list, rows->count, sizeof *rows->list, compare_order_id);
}

static int compare_id(const void *key, const void *row) {
    return uuid_compare(key, &((const struct shipment *)row)->id);
}

/* The row of each change; false when out of memory. */
static bool add_change(struct db_params *p, const int column[static COLUMNS],
                       const struct shipment_change *change, struct buf *payload) {
    const struct shipment *shipment = &change->shipment;
    struct uuid event_id = uuid_new();
    buf_clear(payload);
    if (change->verdict == SHIPMENT_MOVED)
        shipment_update_json(payload, change, &event_id);
    db_add_uuid(p, column[SHIPMENT_ID], &shipment->id);
    db_add_uuid(p, column[ORDER_ID], &shipment->order_id);
    db_add_text(p, column[PREVIOUS_STATUS], shipment_status_name(change->before));
    db_add_text(p, column[STATUS], shipment_status_name(shipment->status));
    db_add_text(p, column[DESCRIPTION], change->description);
    db_add_text(p, column[TRACKING_NUMBER], shipment->tracking_number);
    db_add_text(p, column[CARRIER], shipment->carrier);
    db_add_text(p, column[ACTOR], change->actor);
    db_add_text(p, column[REQUEST_ID], change->request_id);
    db_add_time(p, column[AT], shipment->updated_ms);
    db_add_time(p, column[DELIVERED_AT], shipment->delivered_ms);
    db_add_time(p, column[NEXT_AT], shipment->next_ms);
    db_add_uuid(p, column[EVENT_ID], &event_id);
    db_add_text(p, column[PAYLOAD], payload->len ? payload->data : NULL);
    db_add_text(p, column[CORRELATION_ID], shipment->correlation_id);
    db_add_text(p, column[TRACEPARENT], shipment->traceparent);
    return !payload->failed;
}

static enum db_status write_changes(struct db *db, struct shipment_change *const changes[], size_t n) {
    struct db_params p = {0};
    struct buf payload = {0};
    int column[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        column[i] = db_array(&p, column_types[i]);
    bool whole = true, any = false;
    for (size_t i = 0; i < n && whole; i++) {
        if (changes[i]->verdict != SHIPMENT_DETAILED && changes[i]->verdict != SHIPMENT_MOVED)
            continue;
        whole = add_change(&p, column, changes[i], &payload);
        any = true;
    }
    enum db_status status = whole ? DB_OK : DB_FAILED;
    if (whole && any)
        status = db_run(db, &insert_changes, &p, NULL);
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

/* Second half of a transaction that has locked rows (sorted by id): decides on the changes, writes, commits.
 */
static enum db_status settle(struct db *db, const struct shipment_pace *pace, struct shipment_rows *rows,
                             struct shipment_change *const changes[], size_t n) {
    int64_t now_ms = clock_epoch_ms();
    for (size_t i = 0; i < n; i++) {
        struct shipment *shipment =
            bsearch(&changes[i]->shipment_id, rows->list, rows->count, sizeof *rows->list, compare_id);
        if (shipment)
            shipment_apply(shipment, changes[i], pace, now_ms);
        else
            changes[i]->verdict = SHIPMENT_UNKNOWN;
    }
    enum db_status status = write_changes(db, changes, n);
    return status == DB_OK ? db_commit(db) : status;
}

enum db_status shipment_store_change(struct db *db, const struct shipment_pace *pace,
                                     struct shipment_change *const changes[], size_t n,
                                     struct shipment_rows *rows) {
    struct db_params p = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, ids, &changes[i]->shipment_id);
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = read_shipments(db, &lock_by_id, &p, rows);
    if (status == DB_OK)
        status = settle(db, pace, rows, changes, n);
    if (status != DB_OK)
        db_rollback(db);
    db_params_free(&p);
    return status;
}

enum db_status shipment_store_advance(struct db *db, const struct shipment_pace *pace, size_t *count) {
    struct shipment_rows due = {0};
    struct shipment_change steps[SHIPMENT_MAX_DUE], *changes[SHIPMENT_MAX_DUE];
    char tracking[SHIPMENT_MAX_DUE][SHIPMENT_TRACKING_SIZE];
    struct db_params p = {0};
    db_int_param(&p, SHIPMENT_MAX_DUE);
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = read_shipments(db, &lock_due, &p, &due);
    if (status == DB_OK) {
        for (size_t i = 0; i < due.count; i++) {
            shipment_carrier_step(&due.list[i], tracking[i], &steps[i]);
            changes[i] = &steps[i];
        }
        status = settle(db, pace, &due, changes, due.count);
    }
    if (status == DB_OK)
        *count = due.count;
    else
        db_rollback(db);
    shipment_rows_free(&due);
    db_params_free(&p);
    return status;
}

enum db_status shipment_store_next_due(struct db *db, int64_t max_ms, int64_t *wait_ms) {
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &select_earliest, NULL, &result);
    if (status == DB_OK)
        *wait_ms = db_is_null(result, 0, 0) ? max_ms : db_int(result, 0, 0);
    db_result_free(result);
    return status;
}
