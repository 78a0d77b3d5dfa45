/* The parameters of a statement that writes history. */
#include "event_rows.h"

void event_rows_add(struct db_params *p, const struct order_event events[], size_t n) {
    int occurred = db_array(p, DB_TIME), order = db_array(p, DB_UUID), client = db_array(p, DB_TEXT);
    int type = db_array(p, DB_TEXT), previous = db_array(p, DB_TEXT);
    int status = db_array(p, DB_TEXT), actor = db_array(p, DB_TEXT), request = db_array(p, DB_TEXT);
    int trace = db_array(p, DB_TEXT), data = db_array(p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_time(p, occurred, events[i].occurred_ms);
        db_add_uuid(p, order, &events[i].order_id);
        db_add_text(p, client, events[i].client_id);
        db_add_text(p, type, order_event_type_name(events[i].type));
        db_add_text(p, previous, events[i].previous_status);
        db_add_text(p, status, events[i].status);
        db_add_text(p, actor, events[i].actor);
        db_add_text(p, request, events[i].request_id);
        db_add_text(p, trace, events[i].trace_id);
        db_add_text(p, data, events[i].data);
    }
}
