/* The SQL of telling delivery-svc again of customers that were erased. */
#include "erasure_repeat_store.h"

#include "common/base/clock.h"
#include "common/tracing/tracing.h"
#include "erasure_store.h"

/* clang-format off */
static const struct db_query claim_query = {
    "erasure_claim",
    "SELECT replacement, coalesce(told_to, '00000000-0000-0000-0000-000000000000'), client_id FROM erasures"
    " WHERE quiet_since <= now() - $1 * interval '1 ms' AND quiet_since < 'infinity'"
    " ORDER BY quiet_since LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"};

static const struct db_query next_query = {
    "erasure_next",
    "SELECT o.id, EXISTS (SELECT FROM order_outbox w WHERE w.group_id = o.id"
    "                      AND w.payload::json ->> 'eventType' = 'CUSTOMER_ERASED') FROM orders o"
    " WHERE o.customer_id = $1 AND o.client_id = $4 AND o.id > $2 ORDER BY o.id LIMIT $3"};
enum { NEXT_ID, NEXT_WAITS };

static const struct db_query tell_again_query = {"erasure_tell_again", OUTBOX_INSERT_ROWS("order_outbox")};

/* last: NULL when all orders were told of. */
static const struct db_query move_query = {
    "erasure_move",
    "UPDATE erasures"
    "   SET told_to = $2,"
    "       quiet_since = CASE WHEN $2::uuid IS NOT NULL THEN quiet_since"
    "                          WHEN erased_at <= now() - interval '1 day' THEN 'infinity'"
    "                          ELSE greatest(now(), now() + (now() - erased_at) - $3 * interval '1 ms') END"
    " WHERE replacement = $1"};

static const struct db_query again_query = {
    "erasure_again",
    "WITH again AS (UPDATE erasures SET quiet_since = '-infinity', told_to = NULL RETURNING 1) SELECT count(*) FROM again"};
/* clang-format on */

struct repetition {
    int64_t after_ms;
    bool due;
    size_t told;
};

/* Writes the events of the orders of a page. */
static enum db_status tell_page(struct db *db, const char *replacement, const struct db_result *page,
                                size_t *told) {
    struct outbox_rows rows;
    struct buf payload = {0};
    outbox_rows_open(&rows);
    for (size_t i = 0; i < db_rows(page); i++) {
        const struct order order = {
            .id = db_uuid(page, i, NEXT_ID), .customer_id = replacement, .updated_ms = clock_epoch_ms()};
        char traceparent[TRACEPARENT_SIZE];
        if (db_bool(page, i, NEXT_WAITS))
            continue;
        span_root("repeat CUSTOMER_ERASED", traceparent);
        erasure_add_event(&rows, &payload, &order, traceparent);
        ++*told;
    }
    buf_free(&payload);
    return outbox_rows_insert(&rows, db, &tell_again_query);
}

static enum db_status move_on(struct db *db, const char *replacement, const struct uuid *last,
                              int64_t after_ms) {
    struct db_params p = {0};
    db_text_param(&p, replacement);
    db_uuid_param(&p, last);
    db_int_param(&p, after_ms);
    enum db_status status = db_run(db, &move_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status repeat_page(struct db *db, struct repetition *work, const struct db_result *erasure) {
    const char *replacement = db_text(erasure, 0, 0);
    struct uuid behind = db_uuid(erasure, 0, 1), last = {0};
    struct db_params p = {0};
    struct db_result *page = NULL;
    db_text_param(&p, replacement);
    db_uuid_param(&p, &behind);
    db_int_param(&p, ERASURE_BATCH);
    db_text_param(&p, db_text(erasure, 0, 2));
    enum db_status status = db_run(db, &next_query, &p, &page);
    size_t n = db_rows(page);
    if (n)
        last = db_uuid(page, n - 1, NEXT_ID);
    if (status == DB_OK && n)
        status = tell_page(db, replacement, page, &work->told);
    if (status == DB_OK)
        status = move_on(db, replacement, n == ERASURE_BATCH ? &last : NULL, work->after_ms);
    db_result_free(page);
    db_params_free(&p);
    return status;
}

static enum db_status repeat_erasure(struct db *db, void *arg) {
    struct repetition *work = arg;
    struct db_params p = {0};
    struct db_result *erasure = NULL;
    db_int_param(&p, work->after_ms);
    enum db_status status = db_run(db, &claim_query, &p, &erasure);
    work->due = db_rows(erasure) > 0;
    if (status == DB_OK && work->due)
        status = repeat_page(db, work, erasure);
    db_result_free(erasure);
    db_params_free(&p);
    return status;
}

enum db_status erasure_store_repeat(struct db *db, int64_t after_ms, bool *due, size_t *told) {
    struct repetition work = {.after_ms = after_ms};
    enum db_status status = db_transaction(db, repeat_erasure, &work);
    *due = status == DB_OK && work.due;
    *told = status == DB_OK ? work.told : 0;
    return status;
}

enum db_status erasure_store_repeat_all(struct db *db, int64_t *count) {
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &again_query, NULL, &result);
    *count = status == DB_OK ? db_int(result, 0, 0) : 0;
    db_result_free(result);
    return status;
}
