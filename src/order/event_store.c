/* The SQL of the feed. Reads go along one index each, across the partitions. */
#include "event_store.h"

enum { DAY_MS = 24 * 3600 * 1000 };

#define HEAD(current)                                                                                         \
    "WITH head AS MATERIALIZED ("                                                                             \
    "  SELECT " current " AS epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,"           \
    "         pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax"                                  \
    ")"                                                                                                       \
    " SELECT head.epoch, head.xmin, head.xmax, floor.epoch, floor.xid, floor.n, last.epoch, last.xid, last.n" \
    "   FROM head CROSS JOIN order_event_floor floor LEFT JOIN LATERAL ("                                     \
    "          SELECT e.epoch, e.xid, e.n FROM order_events e"                                                \
    "           WHERE (e.epoch, e.xid, e.n) < (head.epoch, head.xmin, 0)"                                     \
    "           ORDER BY e.epoch DESC, e.xid DESC, e.n DESC LIMIT 1) last ON true"

static const struct db_query head_query = {"event_head", HEAD("order_event_epoch()")};
/* A standby repeats what a server wrote in the last epoch that it knows of. */
static const struct db_query standby_head_query = {
    "event_head_of_standby", HEAD("(SELECT coalesce(max(epoch), 0) FROM order_event_epochs)")};

enum {
    EPOCH,
    XID,
    N,
    TYPE,
    ORDER,
    CLIENT,
    CUSTOMER,
    PREVIOUS,
    STATUS,
    ACTOR,
    REQUEST,
    TRACE,
    DATA,
    OCCURRED,
    TOTAL,
    CURRENCY,
    REFERENCE,
    REASON
};

/* A range of (client_id, position) leaves the planner no choice: with "client_id = $8" it might walk along the positions of
 * all clients. One order has few events: its index has only its id, and its partitions begin with the day it was made. The
 * order may have been erased. */
#define READ(range, order)                                                                                   \
    "WITH e AS (SELECT * FROM order_events WHERE " range " ORDER BY " order " LIMIT $7)"                     \
    " SELECT e.epoch, e.xid, e.n, e.type, e.order_id, e.client_id, coalesce(o.customer_id, ''),"             \
    "        e.previous_status, e.status, e.actor, e.request_id, e.trace_id, e.data,"                        \
    "        (extract(epoch FROM e.occurred_at) * 1000)::bigint, o.total_amount, o.currency, o.reference,"   \
    "        o.cancellation_reason"                                                                          \
    "   FROM e LEFT JOIN orders o ON o.id = e.order_id"                                                      \
    "  ORDER BY e.epoch, e.xid, e.n"
#define BETWEEN "(epoch, xid, n) > ($1, $2, $3) AND (epoch, xid, n) < ($4, $5, $6)"

static const struct db_query read_all = {"event_read", READ(BETWEEN, "epoch, xid, n")};
static const struct db_query read_client = {"event_read_client",
                                            READ("(client_id, epoch, xid, n) > ($8, $1, $2, $3)"
                                                 " AND (client_id, epoch, xid, n) < ($8, $4, $5, $6)",
                                                 "client_id, epoch, xid, n")};
static const struct db_query read_order = {
    "event_read_order", READ(BETWEEN " AND order_id = $9 AND ($8::text IS NULL OR client_id = $8)"
                                     " AND recorded_at >= $10",
                             "epoch, xid, n")};

static struct event_position position_of(const struct db_result *result, size_t row, int column) {
    return (struct event_position){.epoch = db_int(result, row, column),
                                   .xid = db_int(result, row, column + 1),
                                   .n = (int32_t)db_int(result, row, column + 2)};
}

static enum db_status fetch_head(struct db *db, const struct db_query *query, struct event_head *head) {
    struct db_result *result = NULL;
    enum db_status status = db_run(db, query, NULL, &result);
    if (status != DB_OK)
        return status;
    *head = (struct event_head){.end = {.epoch = db_int(result, 0, 0), .xid = db_int(result, 0, 1)},
                                .next_xid = db_int(result, 0, 2),
                                .floor = position_of(result, 0, 3)};
    head->reached = head->floor;
    if (!db_is_null(result, 0, 6)) {
        head->reached = position_of(result, 0, 6);
        head->reached.n++;
    }
    db_result_free(result);
    return DB_OK;
}

enum db_status event_store_head(struct db *db, struct event_head *head) {
    return fetch_head(db, &head_query, head);
}

enum db_status event_store_standby_head(struct db *db, struct event_head *head) {
    return fetch_head(db, &standby_head_query, head);
}

/* Copies a text into arena. NULL stays NULL. */
static const char *copied(struct arena *arena, const struct db_result *result, size_t row, int column) {
    const char *text = db_text(result, row, column);
    return text ? arena_strdup(arena, text) : NULL;
}

static bool read_order_event(const struct db_result *result, size_t row, struct arena *arena,
                             struct order_event *event) {
    *event = (struct order_event){.position = position_of(result, row, EPOCH),
                                  .order_id = db_uuid(result, row, ORDER),
                                  .client_id = copied(arena, result, row, CLIENT),
                                  .customer_id = copied(arena, result, row, CUSTOMER),
                                  .previous_status = copied(arena, result, row, PREVIOUS),
                                  .status = copied(arena, result, row, STATUS),
                                  .actor = copied(arena, result, row, ACTOR),
                                  .request_id = copied(arena, result, row, REQUEST),
                                  .trace_id = copied(arena, result, row, TRACE),
                                  .data = copied(arena, result, row, DATA),
                                  .occurred_ms = db_int(result, row, OCCURRED),
                                  .total = db_cents(result, row, TOTAL),
                                  .currency = copied(arena, result, row, CURRENCY),
                                  .reference = copied(arena, result, row, REFERENCE),
                                  .cancellation_reason = copied(arena, result, row, REASON)};
    return order_event_type_parse(db_text(result, row, TYPE), &event->type);
}

static enum db_status read_events(const struct db_result *result, struct arena *arena,
                                  struct order_event **events, size_t *count) {
    *count = db_rows(result);
    *events = arena_array(arena, *count + 1, sizeof **events);
    for (size_t i = 0; *events && i < *count; i++)
        if (!read_order_event(result, i, arena, &(*events)[i]))
            return DB_FAILED;
    return arena->failed ? DB_NO_MEMORY : DB_OK;
}

static void add_range(struct db_params *p, const struct event_page *page) {
    static const struct event_position last = {INT64_MAX, INT64_MAX, INT32_MAX};
    const struct event_position *end = page->end ? page->end : &last;
    db_int_param(p, page->after.epoch);
    db_int_param(p, page->after.xid);
    db_int_param(p, page->after.n);
    db_int_param(p, end->epoch);
    db_int_param(p, end->xid);
    db_int_param(p, end->n);
    db_int_param(p, (int64_t)page->limit);
}

enum db_status event_store_read(struct db *db, const struct event_page *page, struct arena *arena,
                                struct order_event **events, size_t *count) {
    const struct db_query *query = page->order_id ? &read_order : page->client_id ? &read_client : &read_all;
    struct db_params p = {0};
    struct db_result *result = NULL;
    add_range(&p, page);
    if (query != &read_all)
        db_text_param(&p, page->client_id);
    if (query == &read_order) {
        db_uuid_param(&p, page->order_id);
        db_time_param(&p, uuid_has_time(page->order_id) ? uuid_time_ms(page->order_id) - DAY_MS : 0);
    }
    enum db_status status = db_run(db, query, &p, &result);
    if (status == DB_OK)
        status = read_events(result, arena, events, count);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

/* Earlier epochs are over: their events are all below. An epoch that has not been opened has none. */
enum db_status event_store_held_back(struct db *db, int64_t *age_ms) {
    static const struct db_query query = {
        "event_held_back",
        "SELECT (extract(epoch FROM clock_timestamp() - recorded_at) * 1000)::bigint FROM order_events"
        " WHERE (epoch, xid, n) >="
        "       ((SELECT epoch FROM order_event_epochs WHERE server_started = pg_postmaster_start_time()),"
        "        (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint), 0)"
        " ORDER BY epoch, xid, n LIMIT 1"};
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &query, NULL, &result);
    if (status == DB_OK)
        *age_ms = db_rows(result) ? db_int(result, 0, 0) : 0;
    db_result_free(result);
    return status;
}

enum db_status event_store_keep(struct db *db, int64_t retention_ms) {
    static const struct db_query query = {"event_keep",
                                          "SELECT order_events_partitions($1 * interval '1 millisecond')"};
    struct db_params p = {0};
    db_int_param(&p, retention_ms);
    enum db_status status = db_run(db, &query, &p, NULL);
    db_params_free(&p);
    return status;
}
