/* The SQL of publishing ORDER_CREATED or ORDER_CANCEL_REQUESTED again. */
#include "reconcile_store.h"

#include "common/events/outbox_rows.h"
#include "common/tracing/tracing.h"
#include "order_json.h"
#include "order_store.h"

/* Reads the rows in the order in which they are published. The first expression is written so that it needs the index
 * orders_quiet_idx, whatever the statistics say. */
static const struct db_query look_query = {
    "order_look",
    "SELECT (SELECT floor(extract(epoch FROM quiet_since) * 1000)::bigint FROM orders"
    "         WHERE status <> 'DELIVERED' AND quiet_since >= $1 AND quiet_since < 'infinity'"
    "         ORDER BY quiet_since LIMIT 1),"
    "       oldest.id, floor(extract(epoch FROM coalesce(oldest.created_at, now())) * 1000)::bigint,"
    "       floor(extract(epoch FROM now()) * 1000)::bigint"
    "  FROM (SELECT) AS one"
    "  LEFT JOIN (SELECT id, created_at FROM order_outbox WHERE id >= $2 ORDER BY id LIMIT 1) AS oldest ON true"};
enum { LOOK_FIRST, LOOK_OLDEST, LOOK_PUBLISHED, LOOK_NOW };
enum { SWEEP_MS = 10000 }; /* until a walk begins again */

/* The order is next due after as much time as has passed since its last change. So the interval doubles, up to a
 * day. A CANCELLED order is published once more: a failover may have lost what delivery-svc had decided. */
static const struct db_query claim_query = {
    "order_claim_quiet",
    "WITH quiet AS ("
    "  SELECT o.id, o.quiet_since FROM orders o"
    "   WHERE o.status <> 'DELIVERED' AND o.quiet_since < $1"
    "     AND o.quiet_since <= now() - $2 * interval '1 ms' AND o.quiet_since >= now() - $3 * interval '1 ms'"
    "     AND o.quiet_since >= $6"
    "     AND NOT EXISTS (SELECT FROM order_outbox w WHERE w.group_id = o.id)"
    "   ORDER BY o.quiet_since"
    "   LIMIT $4"
    "     FOR NO KEY UPDATE OF o SKIP LOCKED"
    ")"
    " UPDATE orders o"
    "    SET quiet_since = CASE WHEN o.status = 'CANCELLED' THEN 'infinity'"
    "                           ELSE now() + greatest(least(now() - o.updated_at, interval '1 day')"
    "                                                 - $5 * interval '1 ms', interval '0') END"
    "   FROM quiet"
    "  WHERE o.id = quiet.id"
    " RETURNING o.id, floor(extract(epoch FROM quiet.quiet_since) * 1000)::bigint"};
enum { CLAIM_ID, CLAIM_QUIET };

static const struct db_query announce_query = {"order_announce", OUTBOX_INSERT_ROWS("order_outbox")};

enum db_status reconcile_store_look(struct db *db, struct reconcile_walks *walks,
                                    struct reconcile_sight *out) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_time_param(&p, db_walk_from(&walks->on_their_way, SWEEP_MS));
    int64_t passed = walks->waiting.position_ms;
    db_int_param(&p, db_walk_from(&walks->waiting, SWEEP_MS));
    enum db_status status = db_run(db, &look_query, &p, &result);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    out->on_their_way = !db_is_null(result, 0, LOOK_FIRST);
    out->published_ms = db_int(result, 0, LOOK_PUBLISHED);
    out->now_ms = db_int(result, 0, LOOK_NOW);
    db_walk_to(&walks->on_their_way, out->on_their_way ? db_int(result, 0, LOOK_FIRST) : out->now_ms);
    if (!db_is_null(result, 0, LOOK_OLDEST))
        db_walk_to(&walks->waiting, db_int(result, 0, LOOK_OLDEST));
    else
        walks->waiting.position_ms = passed;
    db_result_free(result);
    return DB_OK;
}

struct reconcile_work {
    const struct reconcile_span *span;
    int64_t after_ms;
    struct order_wanted claimed[RECONCILE_LIMIT];
    size_t count;
    int64_t last_ms; /* since when the last of them was silent */
};

/* Locks the orders to publish again. */
static enum db_status claim(struct db *db, struct reconcile_work *work) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_time_param(&p, work->span->before_ms);
    db_int_param(&p, work->span->at_least_ms);
    db_int_param(&p, work->span->at_most_ms);
    db_int_param(&p, RECONCILE_LIMIT);
    db_int_param(&p, work->after_ms);
    db_time_param(&p, db_walk_from(work->span->walk, SWEEP_MS));
    enum db_status status = db_run(db, &claim_query, &p, &result);
    for (size_t row = 0; row < db_rows(result) && row < RECONCILE_LIMIT; row++) {
        work->claimed[work->count++] = (struct order_wanted){.id = db_uuid(result, row, CLAIM_ID)};
        if (db_int(result, row, CLAIM_QUIET) > work->last_ms)
            work->last_ms = db_int(result, row, CLAIM_QUIET);
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}

/* The request that created the order is long over. So the correlation id is the order's id, and the trace is
 * new. */
static enum db_status announce(struct db *db, const struct order_wanted claimed[], size_t n) {
    struct outbox_rows rows;
    struct buf payload = {0};
    outbox_rows_open(&rows);
    for (size_t i = 0; i < n; i++) {
        const struct order *order = claimed[i].order;
        struct uuid event_id = uuid_new();
        char id[UUID_TEXT_SIZE], traceparent[TRACEPARENT_SIZE];
        if (!order)
            continue;
        uuid_format(&order->id, id);
        span_root(order_wants_cancel(order) ? "repeat ORDER_CANCEL_REQUESTED" : "repeat ORDER_CREATED",
                  traceparent);
        buf_clear(&payload);
        if (order_wants_cancel(order))
            order_cancel_json(&payload, order, &event_id);
        else
            order_created_json(&payload, order, &event_id);
        outbox_rows_add(&rows, &event_id, &order->id, &payload, id, traceparent);
    }
    buf_free(&payload);
    return outbox_rows_insert(&rows, db, &announce_query);
}

static enum db_status announce_quiet(struct db *db, void *arg) {
    struct reconcile_work *work = arg;
    struct arena arena = {0};
    enum db_status status = claim(db, work);
    if (status == DB_OK && work->count)
        status = order_store_find(db, work->claimed, work->count, &arena);
    if (status == DB_OK && work->count)
        status = announce(db, work->claimed, work->count);
    arena_free(&arena);
    return status;
}

/* Where the walk goes on: after the last order, or where the span ended. */
static void go_on(const struct reconcile_work *work) {
    const struct reconcile_span *span = work->span;
    int64_t end_ms = span->now_ms - span->at_least_ms;
    if (end_ms > span->before_ms)
        end_ms = span->before_ms;
    db_walk_to(span->walk, work->count == RECONCILE_LIMIT ? work->last_ms : end_ms);
}

enum db_status reconcile_store_announce(struct db *db, const struct reconcile_span *span, int64_t after_ms,
                                        size_t *announced) {
    struct reconcile_work work = {.span = span, .after_ms = after_ms};
    enum db_status status = db_transaction(db, announce_quiet, &work);
    *announced = status == DB_OK ? work.count : 0;
    if (status == DB_OK)
        go_on(&work);
    return status;
}
