/* Counting what waits. The names of the tables are constants of the daemons. */
#include "observe_store.h"

#include <stdarg.h>
#include <stdio.h>

enum { SQL_SIZE = 384 };

/* Runs a statement about the tables of one daemon, and frees params. */
PRINTF_LIKE(5, 6)
static enum db_status run_sql(struct db *db, const char *name, struct db_params *params,
                              struct db_result **result, const char *format, ...) {
    char sql[SQL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    enum db_status status = db_run(db, &(struct db_query){name, sql}, params, result);
    db_params_free(params);
    return status;
}

enum db_status observe_store_claim(struct db *db, const char *ledger, const char *queue, bool *ours) {
    struct db_params params = {0};
    struct db_result *result = NULL;
    db_text_param(&params, queue);
    db_int_param(&params, OBSERVE_MS);
    enum db_status status =
        run_sql(db, "observe_claim", &params, &result,
                "INSERT INTO %s_queue_depths AS d (queue) VALUES ($1)"
                " ON CONFLICT (queue) DO UPDATE SET claimed_at = now()"
                " WHERE d.claimed_at <= now() - $2 * interval '1 millisecond' RETURNING 1",
                ledger);
    *ours = status == DB_OK && db_rows(result) == 1;
    db_result_free(result);
    return status;
}

enum db_status observe_store_put(struct db *db, const char *ledger, const char *queue,
                                 const struct observed_queue *counted) {
    struct db_params params = {0};
    db_text_param(&params, queue);
    db_int_param(&params, counted->messages.visible);
    db_int_param(&params, counted->messages.hidden);
    db_int_param(&params, counted->messages.delayed);
    db_int_param(&params, counted->dead_letters);
    return run_sql(db, "observe_put", &params, NULL,
                   "UPDATE %s_queue_depths SET visible = $2, hidden = $3, delayed = $4, dead_letters = $5,"
                   " counted_at = now() WHERE queue = $1",
                   ledger);
}

enum db_status observe_store_get(struct db *db, const char *ledger, const char *queue,
                                 struct observed_queue *out) {
    struct db_params params = {0};
    struct db_result *result = NULL;
    db_text_param(&params, queue);
    db_int_param(&params, 4 * OBSERVE_MS);
    enum db_status status =
        run_sql(db, "observe_get", &params, &result,
                "SELECT visible, hidden, delayed, dead_letters FROM %s_queue_depths"
                " WHERE queue = $1 AND counted_at > now() - $2 * interval '1 millisecond'",
                ledger);
    out->known = status == DB_OK && db_rows(result) == 1;
    if (out->known) {
        out->messages =
            (struct queue_counts){db_int(result, 0, 0), db_int(result, 0, 1), db_int(result, 0, 2)};
        out->dead_letters = db_int(result, 0, 3);
    }
    db_result_free(result);
    return status;
}

enum db_status observe_store_outbox(struct db *db, const char *table, int64_t *rows, int64_t *age_ms) {
    struct db_params params = {0};
    struct db_result *result = NULL;
    db_int_param(&params, OBSERVE_MOST);
    enum db_status status = run_sql(
        db, table, &params, &result,
        "SELECT (SELECT count(*) FROM (SELECT FROM %s LIMIT $1) AS waiting),"
        " (SELECT (extract(epoch FROM now() - created_at) * 1000)::bigint FROM %s ORDER BY id LIMIT 1)",
        table, table);
    if (status == DB_OK) {
        *rows = db_int(result, 0, 0);
        *age_ms = db_int(result, 0, 1);
    }
    db_result_free(result);
    return status;
}

enum db_status observe_store_size(struct db *db, int64_t *bytes) {
    static const struct db_query query = {"observe_size", "SELECT pg_database_size(current_database())"};
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &query, NULL, &result);
    if (status == DB_OK)
        *bytes = db_int(result, 0, 0);
    db_result_free(result);
    return status;
}
