/* Writing rows of an outbox table. */
#include "common/events/outbox_rows.h"

void outbox_rows_open(struct outbox_rows *rows) {
    *rows = (struct outbox_rows){0};
    rows->event_id = db_array(&rows->params, DB_UUID);
    rows->group_id = db_array(&rows->params, DB_UUID);
    rows->payload = db_array(&rows->params, DB_TEXT);
    rows->correlation_id = db_array(&rows->params, DB_TEXT);
    rows->traceparent = db_array(&rows->params, DB_TEXT);
}

void outbox_rows_add(struct outbox_rows *rows, const struct uuid *event_id, const struct uuid *group_id,
                     const struct buf *payload, const char *correlation_id, const char *traceparent) {
    struct db_params *p = &rows->params;
    p->failed |= payload->failed;
    db_add_uuid(p, rows->event_id, event_id);
    db_add_uuid(p, rows->group_id, group_id);
    db_add_text(p, rows->payload, payload->data);
    db_add_text(p, rows->correlation_id, correlation_id);
    db_add_text(p, rows->traceparent, traceparent);
}

enum db_status outbox_rows_insert(struct outbox_rows *rows, struct db *db, const struct db_query *insert) {
    enum db_status status = db_run(db, insert, &rows->params, NULL);
    db_params_free(&rows->params);
    return status;
}
