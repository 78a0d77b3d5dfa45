/* The SQL of publishing ORDER_CREATED again. */
#include "reconcile_store.h"

#include "common/base/trace.h"
#include "common/events/outbox_rows.h"
#include "order_json.h"
#include "order_store.h"

/* The order is next due after as much time as has passed since its last change. So the interval doubles, up to a
 * day. */
static const struct db_query claim_query = {
    "order_claim_quiet",
    "WITH quiet AS ("
    "  SELECT id FROM orders"
    "   WHERE status <> 'DELIVERED' AND quiet_since <= now() - $1 * interval '1 ms'"
    "   ORDER BY quiet_since"
    "   LIMIT $2"
    "     FOR NO KEY UPDATE SKIP LOCKED"
    ")"
    " UPDATE orders o"
    "    SET quiet_since = now() + greatest(least(now() - o.updated_at, interval '1 day')"
    "                                       - $1 * interval '1 ms', interval '0')"
    "   FROM quiet"
    "  WHERE o.id = quiet.id"
    " RETURNING o.id, EXISTS (SELECT FROM order_outbox w WHERE w.group_id = o.id)"};
enum { QUIET_ID, QUIET_WAITS };

static const struct db_query announce_query = {"order_announce", OUTBOX_INSERT_ROWS("order_outbox")};

/* Locks silent orders. ids receives those to publish again. */
static enum db_status claim(struct db *db, int64_t after_ms, struct uuid ids[static RECONCILE_LIMIT],
                            struct reconcile_pass *pass) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_int_param(&p, after_ms);
    db_int_param(&p, RECONCILE_LIMIT);
    enum db_status status = db_run(db, &claim_query, &p, &result);
    *pass = (struct reconcile_pass){.quiet = db_rows(result)};
    for (size_t row = 0; row < pass->quiet; row++) {
        bool waiting = db_bool(result, row, QUIET_WAITS);
        if (!waiting)
            ids[pass->announced++] = db_uuid(result, row, QUIET_ID);
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}

/* The request that created the order is long over. So the correlation id is the order's id, and the trace is
 * new. */
static enum db_status announce(struct db *db, const struct order orders[], size_t n) {
    struct outbox_rows rows;
    struct buf payload = {0};
    outbox_rows_open(&rows);
    for (size_t i = 0; i < n; i++) {
        struct uuid event_id = uuid_new();
        char id[UUID_TEXT_SIZE], traceparent[TRACEPARENT_SIZE];
        uuid_format(&orders[i].id, id);
        trace_adopt(NULL, traceparent);
        buf_clear(&payload);
        order_created_json(&payload, &orders[i], &event_id);
        outbox_rows_add(&rows, &event_id, &orders[i].id, &payload, id, traceparent);
    }
    buf_free(&payload);
    return outbox_rows_insert(&rows, db, &announce_query);
}

struct reconcile_work {
    int64_t after_ms;
    struct reconcile_pass *pass;
};

static enum db_status announce_quiet(struct db *db, void *arg) {
    const struct reconcile_work *work = arg;
    struct uuid ids[RECONCILE_LIMIT];
    struct arena arena = {0};
    struct order *orders = NULL;
    size_t count = 0;
    enum db_status status = claim(db, work->after_ms, ids, work->pass);
    if (status == DB_OK && work->pass->announced)
        status = order_store_lock(db, ids, work->pass->announced, &arena, &orders, &count);
    if (status == DB_OK && count)
        status = announce(db, orders, count);
    arena_free(&arena);
    return status;
}

enum db_status reconcile_store_pass(struct db *db, int64_t after_ms, struct reconcile_pass *pass) {
    struct reconcile_work work = {after_ms, pass};
    *pass = (struct reconcile_pass){0};
    return db_transaction(db, announce_quiet, &work);
}
