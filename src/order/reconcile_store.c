/* The SQL of announcing orders again. */
#include "reconcile_store.h"

#include "common/base/trace.h"
#include "order_json.h"
#include "order_store.h"

/* The next look comes after as long again as the order has not changed: the interval doubles, up to a day. */
static const struct db_query claim_query = {
    "order_claim_quiet",
    "WITH quiet AS ("
    "  SELECT id FROM orders WHERE status <> 'DELIVERED' AND quiet_since <= now() - $1 * interval '1 ms'"
    "  ORDER BY quiet_since LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
    ") UPDATE orders o SET quiet_since = now() +"
    "    greatest(least(now() - o.updated_at, interval '1 day') - $1 * interval '1 ms', interval '0')"
    " FROM quiet WHERE o.id = quiet.id"
    " RETURNING o.id, EXISTS (SELECT FROM order_outbox w WHERE w.group_id = o.id)"};

static const struct db_query announce_query = {
    "order_announce", "INSERT INTO order_outbox (event_id, group_id, payload, correlation_id, traceparent)"
                      " SELECT * FROM unnest($1, $2, $3, $4, $5)"};

/* Locks the orders that are quiet; ids receives those to announce. */
static enum db_status claim(struct db *db, int64_t after_ms, struct uuid ids[static RECONCILE_LIMIT],
                            struct reconcile_pass *pass) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_int_param(&p, after_ms);
    db_int_param(&p, RECONCILE_LIMIT);
    enum db_status status = db_run(db, &claim_query, &p, &result);
    *pass = (struct reconcile_pass){.quiet = db_rows(result)};
    for (size_t row = 0; row < pass->quiet; row++) {
        bool waiting = db_bool(result, row, 1);
        if (!waiting)
            ids[pass->announced++] = db_uuid(result, row, 0);
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}

/* The request that made the order is long over: the event is followed by the order's id, in a new trace. */
static enum db_status announce(struct db *db, const struct order orders[], size_t n) {
    struct db_params p = {0};
    struct buf payload = {0};
    int event = db_array(&p, DB_UUID), group = db_array(&p, DB_UUID), text = db_array(&p, DB_TEXT);
    int correlation = db_array(&p, DB_TEXT), trace = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        struct uuid event_id = uuid_new();
        char id[UUID_TEXT_SIZE], traceparent[TRACEPARENT_SIZE];
        uuid_format(&orders[i].id, id);
        trace_adopt(NULL, traceparent);
        buf_clear(&payload);
        order_created_json(&payload, &orders[i], &event_id);
        p.failed |= payload.failed;
        db_add_uuid(&p, event, &event_id);
        db_add_uuid(&p, group, &orders[i].id);
        db_add_text(&p, text, payload.data);
        db_add_text(&p, correlation, id);
        db_add_text(&p, trace, traceparent);
    }
    enum db_status status = db_run(db, &announce_query, &p, NULL);
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

enum db_status reconcile_store_pass(struct db *db, int64_t after_ms, struct reconcile_pass *pass) {
    struct uuid ids[RECONCILE_LIMIT];
    struct arena arena = {0};
    struct order *orders = NULL;
    size_t count = 0;
    *pass = (struct reconcile_pass){0};
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = claim(db, after_ms, ids, pass);
    if (status == DB_OK && pass->announced)
        status = order_store_lock(db, ids, pass->announced, &arena, &orders, &count);
    if (status == DB_OK && count)
        status = announce(db, orders, count);
    if (status == DB_OK)
        status = db_commit(db);
    db_rollback(db); /* of what was not committed */
    arena_free(&arena);
    return status;
}
