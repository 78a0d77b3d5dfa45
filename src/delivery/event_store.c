/* Reads the audit trail. */
#include "event_store.h"

#include <stdlib.h>

static const struct db_query trail_query = {
    "event_find",
    "SELECT e.shipment_id, e.order_id, e.previous_status, e.status, e.description, e.tracking_number,"
    "       e.carrier, e.actor, e.request_id, (extract(epoch FROM e.occurred_at) * 1000)::bigint,"
    "       s.client_id"
    "  FROM shipments s"
    " CROSS JOIN LATERAL (SELECT * FROM delivery_events"
    "                      WHERE order_id = s.order_id ORDER BY id DESC LIMIT $2) e"
    " WHERE s.order_id = ANY ($1)"
    " ORDER BY e.order_id, e.id"};
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
    OCCURRED,
    CLIENT_ID
};

void event_rows_free(struct event_rows *rows) {
    free(rows->list);
    db_result_free(rows->result);
    *rows = (struct event_rows){0};
}

static struct shipment_event read_event(const struct db_result *result, size_t row) {
    return (struct shipment_event){.shipment_id = db_uuid(result, row, SHIPMENT_ID),
                                   .order_id = db_uuid(result, row, ORDER_ID),
                                   .previous_status = db_text(result, row, PREVIOUS_STATUS),
                                   .status = db_text(result, row, STATUS),
                                   .description = db_text(result, row, DESCRIPTION),
                                   .tracking_number = db_text(result, row, TRACKING_NUMBER),
                                   .carrier = db_text(result, row, CARRIER),
                                   .actor = db_text(result, row, ACTOR),
                                   .request_id = db_text(result, row, REQUEST_ID),
                                   .occurred_ms = db_int(result, row, OCCURRED),
                                   .client_id = db_text(result, row, CLIENT_ID)};
}

enum db_status event_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                struct event_rows *rows) {
    struct db_params p = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, ids, order_ids[i]);
    db_int_param(&p, EVENT_STORE_LIMIT);
    enum db_status status = db_run(db, &trail_query, &p, &rows->result);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    size_t count = db_rows(rows->result);
    rows->list = calloc(count + 1, sizeof *rows->list);
    if (!rows->list)
        return DB_NO_MEMORY;
    for (; rows->count < count; rows->count++)
        rows->list[rows->count] = read_event(rows->result, rows->count);
    return DB_OK;
}

const struct shipment_event *event_rows_find(const struct event_rows *rows, const struct uuid *order_id,
                                             size_t *n) {
    size_t first = 0, end = rows->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (uuid_compare(&rows->list[middle].order_id, order_id) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    for (*n = 0; first + *n < rows->count; ++*n)
        if (uuid_compare(&rows->list[first + *n].order_id, order_id) != 0)
            break;
    return *n ? &rows->list[first] : NULL;
}
