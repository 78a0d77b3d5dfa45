/* The SQL of shipments and their changes. */
#include "shipment_store.h"

#include "common/base/clock.h"
#include "common/events/outbox_rows.h"
#include "shipment_json.h"
#include "shipment_trace.h"

#include <stdlib.h>

#define SELECT_SHIPMENTS                                                                                     \
    "SELECT id, order_id, client_id, status, tracking_number, carrier, correlation_id, traceparent,"         \
    "       (extract(epoch FROM created_at) * 1000)::bigint,"                                                \
    "       (extract(epoch FROM updated_at) * 1000)::bigint,"                                                \
    "       (extract(epoch FROM delivered_at) * 1000)::bigint,"                                              \
    "       (extract(epoch FROM next_transition_at) * 1000)::bigint"
enum {
    FOUND_ID,
    FOUND_ORDER_ID,
    FOUND_CLIENT_ID,
    FOUND_STATUS,
    FOUND_TRACKING_NUMBER,
    FOUND_CARRIER,
    FOUND_CORRELATION_ID,
    FOUND_TRACEPARENT,
    FOUND_CREATED,
    FOUND_UPDATED,
    FOUND_DELIVERED,
    FOUND_NEXT
};

const struct db_query shipment_store_probe = {"shipment_probe",
                                              "SELECT pg_current_xact_id(), EXISTS (SELECT FROM shipments)"};

/* A repeated event tells the client of a shipment that was created by an earlier version. What has left before it was lost is
 * SHIPPED from the beginning: nobody may see it wait, and send it again. */
static const struct db_query create_query = {
    "shipment_create",
    "WITH input AS ("
    "  SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    "      AS s(id, order_id, customer_id, client_id, status, tracking_number, carrier, correlation_id,"
    "           traceparent, created_at, next_at)"
    "), created AS ("
    "  INSERT INTO shipments (id, order_id, customer_id, client_id, status, tracking_number, carrier,"
    "                         correlation_id, traceparent, created_at, updated_at, next_transition_at)"
    "  SELECT id, order_id, customer_id, client_id, status, tracking_number, carrier, correlation_id,"
    "         traceparent, created_at, created_at, next_at"
    "    FROM input ORDER BY order_id"
    "  ON CONFLICT (order_id) DO NOTHING"
    "  RETURNING id, order_id, status, tracking_number, carrier, correlation_id, created_at"
    "), owned AS ("
    "  UPDATE shipments s SET client_id = input.client_id FROM input"
    "   WHERE s.order_id = input.order_id AND s.client_id IS NULL AND input.client_id IS NOT NULL"
    "), begun AS ("
    "  INSERT INTO delivery_events (shipment_id, order_id, previous_status, status, description, tracking_number,"
    "                               carrier, actor, request_id, occurred_at)"
    "  SELECT id, order_id, step.*, 'order-events', correlation_id, created_at"
    "    FROM created CROSS JOIN LATERAL ("
    "      VALUES (NULL, 'PROCESSING', $12, NULL, NULL), ('PROCESSING', status, $13, tracking_number, carrier)"
    "    ) AS step(previous_status, status, description, tracking_number, carrier)"
    "   WHERE step.status IS DISTINCT FROM step.previous_status"
    "   ORDER BY order_id, step.previous_status NULLS FIRST"
    ")"
    " SELECT id FROM created"};

/* clang-format off */
static const struct db_query find_query = {
    "shipment_find",
    SELECT_SHIPMENTS
    "  FROM shipments"
    " WHERE order_id = ANY ($1)"
    " ORDER BY order_id"};

/* Locks in the order of the ids, so that batches cannot deadlock. */
static const struct db_query lock_query = {
    "shipment_lock",
    SELECT_SHIPMENTS
    "  FROM shipments"
    " WHERE id = ANY ($1)"
    " ORDER BY id"
    "   FOR UPDATE"};

static const struct db_query lock_due_query = {
    "shipment_lock_due",
    SELECT_SHIPMENTS
    "  FROM (SELECT * FROM shipments"
    "         WHERE next_transition_at <= now() AND next_transition_at >= $2"
    "         ORDER BY next_transition_at"
    "         LIMIT $1"
    "           FOR UPDATE SKIP LOCKED) due"
    " ORDER BY id"};

/* A shipment that changed twice takes its last state. Trail and events keep the order of the changes. An event without a
 * new status tells of a correction. */
static const struct db_query write_query = {
    "shipment_write",
    "WITH change AS ("
    "  SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    "    WITH ORDINALITY AS c(shipment_id, order_id, previous_status, status, description, tracking_number,"
    "                         carrier, actor, request_id, at, delivered_at, next_at, event_id, payload,"
    "                         correlation_id, traceparent, n)"
    "), updated AS ("
    "  UPDATE shipments s"
    "     SET status = c.status, tracking_number = c.tracking_number, carrier = c.carrier,"
    "         updated_at = c.at, delivered_at = c.delivered_at, next_transition_at = c.next_at"
    "    FROM (SELECT DISTINCT ON (shipment_id) * FROM change ORDER BY shipment_id, n DESC) c"
    "   WHERE s.id = c.shipment_id"
    "), audited AS ("
    "  INSERT INTO delivery_events (shipment_id, order_id, previous_status, status, description,"
    "                               tracking_number, carrier, actor, request_id, occurred_at)"
    "  SELECT shipment_id, order_id, previous_status, status, description,"
    "         tracking_number, carrier, actor, request_id, at"
    "    FROM change ORDER BY n"
    "), corrected AS ("
    "  INSERT INTO delivery_corrections (order_id)"
    "  SELECT DISTINCT order_id FROM change WHERE payload IS NOT NULL AND status = previous_status"
    "  ON CONFLICT (order_id) DO UPDATE"
    "    SET corrected_at = excluded.corrected_at, quiet_since = excluded.quiet_since"
    ")"
    " " OUTBOX_INSERT("delivery_outbox")
    " SELECT event_id, order_id, payload, correlation_id, traceparent"
    "   FROM change"
    "  WHERE payload IS NOT NULL"
    "  ORDER BY n"};
/* clang-format on */

/* The arrays of write_query, $1 to $16. The types that are not named are DB_TEXT. */
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
    [DELIVERED_AT] = DB_TIME, [NEXT_AT] = DB_TIME,  [EVENT_ID] = DB_UUID,
};

static const struct db_query next_due_query = {
    "shipment_next_due",
    "SELECT (extract(epoch FROM min(next_transition_at) - now()) * 1000)::bigint,"
    "       floor(extract(epoch FROM least(min(next_transition_at), now())) * 1000)::bigint"
    "  FROM shipments WHERE next_transition_at >= $1"};
enum { SWEEP_MS = 5000 }; /* until the walk begins again */
enum { NEXT_DUE_WAIT, NEXT_DUE_WALK };

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
    int client_id = db_array(&p, DB_TEXT), state = db_array(&p, DB_TEXT);
    int tracking_number = db_array(&p, DB_TEXT), carrier = db_array(&p, DB_TEXT);
    int correlation_id = db_array(&p, DB_TEXT), traceparent = db_array(&p, DB_TEXT);
    int created_at = db_array(&p, DB_TIME), next_at = db_array(&p, DB_TIME);
    db_text_param(&p, shipment_status_arrival(SHIPMENT_PROCESSING));
    db_text_param(&p, shipment_status_arrival(SHIPMENT_SHIPPED));
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &shipments[i].id);
        db_add_uuid(&p, order_id, &shipments[i].order_id);
        db_add_text(&p, customer_id, shipments[i].customer_id);
        db_add_text(&p, client_id, shipments[i].client_id);
        db_add_text(&p, state, shipment_status_name(shipments[i].status));
        db_add_text(&p, tracking_number, shipments[i].tracking_number);
        db_add_text(&p, carrier, shipments[i].carrier);
        db_add_text(&p, correlation_id, shipments[i].correlation_id);
        db_add_text(&p, traceparent, shipments[i].traceparent);
        db_add_time(&p, created_at, shipments[i].created_ms);
        db_add_time(&p, next_at, shipments[i].next_ms);
    }
    enum db_status status = db_run(db, &create_query, &p, &result);
    *created = db_rows(result);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

static int64_t time_of(const struct db_result *result, size_t row, int column) {
    return db_is_null(result, row, column) ? DB_NO_TIME : db_int(result, row, column);
}

/* False when the status is unknown. */
static bool read_shipment(const struct db_result *result, size_t row, struct shipment *out) {
    *out = (struct shipment){.id = db_uuid(result, row, FOUND_ID),
                             .order_id = db_uuid(result, row, FOUND_ORDER_ID),
                             .client_id = db_text(result, row, FOUND_CLIENT_ID),
                             .tracking_number = db_text(result, row, FOUND_TRACKING_NUMBER),
                             .carrier = db_text(result, row, FOUND_CARRIER),
                             .correlation_id = db_text(result, row, FOUND_CORRELATION_ID),
                             .traceparent = db_text(result, row, FOUND_TRACEPARENT),
                             .created_ms = db_int(result, row, FOUND_CREATED),
                             .updated_ms = db_int(result, row, FOUND_UPDATED),
                             .delivered_ms = time_of(result, row, FOUND_DELIVERED),
                             .next_ms = time_of(result, row, FOUND_NEXT)};
    return shipment_status_parse(db_text(result, row, FOUND_STATUS), &out->status);
}

static enum db_status read_shipments(struct db *db, const struct db_query *query,
                                     const struct db_params *params, struct shipment_rows *rows) {
    enum db_status status = db_run(db, query, params, &rows->result);
    if (status != DB_OK)
        return status;
    size_t count = db_rows(rows->result);
    rows->list = calloc(count + 1, sizeof *rows->list);
    if (!rows->list)
        return DB_NO_MEMORY;
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
    enum db_status status = read_shipments(db, &find_query, &p, rows);
    db_params_free(&p);
    return status;
}

static int compare_order_id(const void *key, const void *row) {
    return uuid_compare(key, &((const struct shipment *)row)->order_id);
}

const struct shipment *shipment_rows_find(const struct shipment_rows *rows, const struct uuid *order_id) {
    return bsearch(order_id, rows->list, rows->count, sizeof *rows->list, compare_order_id);
}

static int compare_shipment_id(const void *key, const void *row) {
    return uuid_compare(key, &((const struct shipment *)row)->id);
}

static void add_change(struct db_params *p, const int column[static COLUMNS], struct shipment_change *change,
                       struct buf *payload) {
    char trace[TRACE_SIZE];
    const struct shipment *shipment = &change->shipment;
    struct uuid event_id = uuid_new();
    buf_clear(payload);
    if (shipment_is_news(change))
        shipment_update_json(payload, change, &event_id);
    p->failed |= payload->failed;
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
    db_add_text(p, column[TRACEPARENT], shipment_trace_begin(change, trace));
}

static enum db_status write_changes(struct db *db, struct shipment_change *const changes[], size_t n) {
    struct db_params p = {0};
    struct buf payload = {0};
    int column[COLUMNS];
    bool any = false;
    for (int i = 0; i < COLUMNS; i++)
        column[i] = db_array(&p, column_types[i]);
    for (size_t i = 0; i < n; i++) {
        if (changes[i]->verdict != SHIPMENT_DETAILED && changes[i]->verdict != SHIPMENT_MOVED)
            continue;
        add_change(&p, column, changes[i], &payload);
        any = true;
    }
    enum db_status status = any ? db_run(db, &write_query, &p, NULL) : DB_OK;
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

/* Applies the changes to the locked rows, which are sorted by id, and writes the results. */
static enum db_status apply_changes(struct db *db, const struct shipment_pace *pace,
                                    const struct shipment_rows *locked,
                                    struct shipment_change *const changes[], size_t n) {
    int64_t now_ms = clock_epoch_ms();
    for (size_t i = 0; i < n; i++) {
        struct shipment *shipment = bsearch(&changes[i]->shipment_id, locked->list, locked->count,
                                            sizeof *locked->list, compare_shipment_id);
        if (shipment)
            shipment_apply(shipment, changes[i], pace, now_ms);
        else
            changes[i]->verdict = SHIPMENT_UNKNOWN;
    }
    return write_changes(db, changes, n);
}

struct change_work {
    const struct shipment_pace *pace;
    struct shipment_change *const *changes;
    size_t n;
    struct shipment_rows *rows;
};

static enum db_status change_shipments(struct db *db, void *arg) {
    const struct change_work *work = arg;
    struct db_params p = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < work->n; i++)
        db_add_uuid(&p, ids, &work->changes[i]->shipment_id);
    enum db_status status = read_shipments(db, &lock_query, &p, work->rows);
    db_params_free(&p);
    return status == DB_OK ? apply_changes(db, work->pace, work->rows, work->changes, work->n) : status;
}

enum db_status shipment_store_change(struct db *db, const struct shipment_pace *pace,
                                     struct shipment_change *const changes[], size_t n,
                                     struct shipment_rows *rows) {
    struct change_work work = {pace, changes, n, rows};
    enum db_status status = db_transaction(db, change_shipments, &work);
    shipment_trace_end(changes, n, status == DB_OK);
    return status;
}

struct advance_work {
    const struct shipment_pace *pace;
    int64_t from_ms, last_ms; /* of the walk: where it is, and the last shipment that was due */
    struct shipment_rows due;
    struct shipment_change steps[SHIPMENT_MAX_DUE], *changes[SHIPMENT_MAX_DUE];
    size_t count; /* of changes */
};

static enum db_status advance_shipments(struct db *db, void *arg) {
    struct advance_work *work = arg;
    char tracking[SHIPMENT_MAX_DUE][SHIPMENT_TRACKING_SIZE];
    struct db_params p = {0};
    db_int_param(&p, SHIPMENT_MAX_DUE);
    db_time_param(&p, work->from_ms);
    enum db_status status = read_shipments(db, &lock_due_query, &p, &work->due);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    for (; work->count < work->due.count; work->count++) {
        size_t i = work->count;
        if (work->due.list[i].next_ms > work->last_ms)
            work->last_ms = work->due.list[i].next_ms;
        shipment_carrier_step(&work->due.list[i], tracking[i], &work->steps[i]);
        work->changes[i] = &work->steps[i];
    }
    return apply_changes(db, work->pace, &work->due, work->changes, work->count);
}

enum db_status shipment_store_advance(struct db *db, const struct shipment_pace *pace, struct db_walk *walk,
                                      size_t *count) {
    struct advance_work work = {.pace = pace, .from_ms = db_walk_from(walk, SWEEP_MS)};
    enum db_status status = db_transaction(db, advance_shipments, &work);
    shipment_trace_end(work.changes, work.count, status == DB_OK);
    if (status == DB_OK) {
        *count = work.due.count;
        if (work.due.count == SHIPMENT_MAX_DUE)
            db_walk_to(walk, work.last_ms);
    }
    shipment_rows_free(&work.due);
    return status;
}

enum db_status shipment_store_next_due(struct db *db, struct db_walk *walk, int64_t max_ms,
                                       int64_t *wait_ms) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_time_param(&p, db_walk_from(walk, SWEEP_MS));
    enum db_status status = db_run(db, &next_due_query, &p, &result);
    if (status == DB_OK) {
        bool none = db_is_null(result, 0, NEXT_DUE_WAIT);
        *wait_ms = none ? max_ms : db_int(result, 0, NEXT_DUE_WAIT);
        db_walk_to(walk, db_int(result, 0, NEXT_DUE_WALK));
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}
