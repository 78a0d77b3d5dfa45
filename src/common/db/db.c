/* Running statements and transactions on a connection, each with a deadline. */
#include "private.h"

#include "common/base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* The status of one result. Keeps the error message of a failed one. */
static enum db_status judge(struct db *db, const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return DB_OK;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    db_set_error(db, sqlstate ? sqlstate : "", message ? message : PQerrorMessage(db->conn));
    snprintf(db->context, sizeof db->context, "%s", context ? context : "");
    db->stale |= sqlstate && db_is_stale(sqlstate);
    return sqlstate ? db_classify(sqlstate) : DB_UNAVAILABLE;
}

/* Reads all results of what was sent. The last result, or the first failed one, decides. */
static enum db_status collect(struct db *db, int64_t deadline_ms, PGresult **out) {
    enum db_status status = DB_OK;
    PGresult *kept = NULL;
    for (;;) {
        int unsent = PQflush(db->conn);
        if (unsent < 0)
            break;
        if (unsent == 0 && !PQisBusy(db->conn)) {
            PGresult *result = PQgetResult(db->conn);
            if (!result)
                break;
            if (status == DB_OK) {
                status = judge(db, result);
                PQclear(kept);
                kept = result;
            } else {
                PQclear(result);
            }
            continue;
        }
        if (!db_wait_socket(db, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline_ms)) {
            PQclear(kept);
            return db_lost(db, "no response within the statement timeout");
        }
        if (!PQconsumeInput(db->conn))
            break;
    }
    if (PQstatus(db->conn) != CONNECTION_OK) {
        PQclear(kept);
        return db_lost(db, PQerrorMessage(db->conn));
    }
    if (!kept) {
        status = DB_FAILED;
        db_set_error(db, "", PQerrorMessage(db->conn));
    }
    *out = kept;
    return status;
}

static void db_rollback(struct db *db);

/* After a failure, rolls back the transaction, and closes a connection whose state is unknown. */
static void abandon(struct db *db, enum db_status status) {
    if (db->conn && status != DB_REFUSED && !db_is_busy(status))
        db_drop(db);
    if (!db->in_transaction)
        return;
    char error[DB_ERROR_SIZE];
    memcpy(error, db->error, sizeof error);
    db_rollback(db);
    memcpy(db->error, error, sizeof error);
}

static enum db_status finish(struct db *db, int sent, bool bounded, struct db_result **out) {
    PGresult *result = NULL;
    int64_t deadline = bounded ? clock_mono_ms() + db->options.statement_timeout_ms + DB_GRACE_MS : -1;
    enum db_status status = sent ? collect(db, deadline, &result) : db_lost(db, PQerrorMessage(db->conn));
    if (status != DB_OK)
        abandon(db, status);
    if (status == DB_OK && out)
        *out = (struct db_result *)result;
    else
        PQclear(result);
    return status;
}

/* Asks which database the connection leads to. A standby has no timeline of its own yet: it is asked again with each
 * statement, because it keeps its connections when it is promoted. A server that refuses to tell is used all the
 * same. */
static enum db_status identify(struct db *db) {
    static const char sql[] =
        "SELECT system_identifier || '/' ||"
        "       CASE WHEN NOT pg_is_in_recovery()"
        "            THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END || '/' ||"
        "       (SELECT oid FROM pg_database WHERE datname = current_database())"
        "  FROM pg_control_system()";
    struct db_result *result = NULL;
    enum db_status status = finish(db, PQsendQuery(db->conn, sql), true, &result);
    const char *text = status == DB_OK && db_rows(result) ? db_text(result, 0, 0) : NULL;
    db->identity_refused = status == DB_FAILED;
    db->identified = text;
    if (text)
        db->identity_changes = db_identity_note(db->options.identity, text, db->identity);
    db_result_free(result);
    return status;
}

/* A connection to a database that another one has replaced: what it writes may be lost. */
static bool is_outdated(const struct db *db) {
    return db->identified && !db->in_transaction &&
           db->identity_changes != db_identity_changes(db->options.identity);
}

/* The session goes on, so a relay keeps its lock and its LISTEN. */
static enum db_status forget_prepared(struct db *db) {
    db->prepared_count = 0;
    enum db_status status = finish(db, PQsendQuery(db->conn, "DEALLOCATE ALL"), true, NULL);
    db->stale = status != DB_OK;
    return status;
}

/* Makes the connection fit for statements. */
static enum db_status db_ready(struct db *db) {
    if (is_outdated(db))
        db_drop(db);
    enum db_status status = db_ensure_connected(db);
    if (status == DB_OK && db->stale)
        status = forget_prepared(db);
    if (status != DB_OK || db->identified || db->identity_refused || !db->options.identity)
        return status;
    status = identify(db);
    return status == DB_FAILED ? db_ensure_connected(db) : status;
}

bool db_identity_of(const struct db *db, uint8_t out[static DB_IDENTITY_SIZE]) {
    if (db->identified)
        memcpy(out, db->identity, DB_IDENTITY_SIZE);
    return db->identified;
}

static enum db_status ensure_prepared(struct db *db, const struct db_query *query,
                                      const struct db_params *params) {
    for (size_t i = 0; i < db->prepared_count; i++)
        if (db->prepared[i] == query->name)
            return DB_OK;
    if (db->prepared_count == DB_MAX_PREPARED) {
        db_set_error(db, "", "too many prepared statements");
        return DB_FAILED;
    }
    Oid types[DB_MAX_PARAMS];
    int count = params ? params->count : 0;
    for (int i = 0; i < count; i++)
        types[i] = db_param_oid(&params->list[i]);
    enum db_status status =
        finish(db, PQsendPrepare(db->conn, query->name, query->sql, count, types), true, NULL);
    if (status == DB_OK)
        db->prepared[db->prepared_count++] = query->name;
    return status;
}

static bool complete(const struct db_params *params) {
    for (int i = 0; params && i < params->count; i++)
        if (params->list[i].bytes.failed)
            return false;
    return !params || !params->failed;
}

static enum db_status run_prepared(struct db *db, const struct db_query *query,
                                   const struct db_params *params, struct db_result **result) {
    const char *values[DB_MAX_PARAMS];
    int lengths[DB_MAX_PARAMS], formats[DB_MAX_PARAMS];
    int count = params ? params->count : 0;
    for (int i = 0; i < count; i++) {
        const struct db_param *p = &params->list[i];
        values[i] = p->null ? NULL : p->bytes.data ? p->bytes.data : "";
        lengths[i] = (int)p->bytes.len;
        formats[i] = 1;
    }
    return finish(db, PQsendQueryPrepared(db->conn, query->name, count, values, lengths, formats, 0), true,
                  result);
}

static enum db_status attempt(struct db *db, const struct db_query *query, const struct db_params *params,
                              struct db_result **result) {
    enum db_status status = db_ready(db);
    if (status == DB_OK)
        status = ensure_prepared(db, query, params);
    if (status != DB_OK)
        return status;
    int64_t began_ns = clock_mono_ns();
    metric_add(db->used, 1);
    metric_add(db->idle, -1);
    status = run_prepared(db, query, params, result);
    metric_add(db->idle, 1);
    metric_add(db->used, -1);
    db_measure_statement(db, query->name, began_ns, status);
    return status;
}

static enum db_status simple(struct db *db, const char *sql, bool bounded) {
    return finish(db, PQsendQuery(db->conn, sql), bounded, NULL);
}

static enum db_status db_begin(struct db *db) {
    enum db_status status = db_ready(db);
    if (status != DB_OK)
        return status;
    status = simple(db, "BEGIN", true);
    db->in_transaction = db->untouched = status == DB_OK;
    return status;
}

static enum db_status db_commit(struct db *db) {
    static const char commit[] = "COMMIT";
    if (!db->conn || !db->in_transaction)
        return DB_UNAVAILABLE;
    int64_t began_ns = clock_mono_ns();
    enum db_status status = simple(db, commit, true);
    db_measure_statement(db, commit, began_ns, status);
    db->in_transaction = false;
    return status;
}

static void db_rollback(struct db *db) {
    if (!db->in_transaction)
        return;
    db->in_transaction = false;
    if (db->conn && simple(db, "ROLLBACK", true) != DB_OK)
        db_drop(db);
}

/* The connection for a statement or a transaction: its own, or a borrowed one. NULL when none was free in time. */
static struct db *db_lend(struct db *db) {
    if (!db->options.pool)
        return db;
    return db->lent ? db->lent : db_pool_take(db);
}

/* Gives back what db_lend returned. What db.h tells about the last call is kept. */
static void db_give_back(struct db *db, struct db *lent, enum db_status status) {
    if (lent == db || db->lent)
        return;
    db->generation = lent->generation;
    db->identified = lent->identified;
    memcpy(db->identity, lent->identity, sizeof db->identity);
    if (status != DB_OK) {
        memcpy(db->error, lent->error, sizeof db->error);
        memcpy(db->context, lent->context, sizeof db->context);
    }
    db_pool_give_back(db->options.pool, lent);
}

/* A statement that was stale has not run. It runs again, unless that would lose what its transaction did before. */
static enum db_status db_run_own(struct db *db, const struct db_query *query, const struct db_params *params,
                                 struct db_result **result) {
    if (!complete(params)) {
        db_set_error(db, "", "out of memory, or too many parameters");
        abandon(db, DB_REFUSED);
        return DB_NO_MEMORY;
    }
    bool inside = db->in_transaction, first = !inside || db->untouched;
    enum db_status status = attempt(db, query, params, result);
    if (status == DB_CONFLICT && db->stale && first) {
        status = inside ? db_begin(db) : DB_OK;
        if (status == DB_OK)
            status = attempt(db, query, params, result);
    }
    db->untouched &= status != DB_OK;
    return status;
}

enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) {
    struct db *lent = db_lend(db);
    if (!lent)
        return DB_UNAVAILABLE;
    enum db_status status = db_run_own(lent, query, params, result);
    db_give_back(db, lent, status);
    return status;
}

static enum db_status transact(struct db *db, db_work *work, void *arg) {
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = work(db, arg);
    if (status == DB_OK)
        return db_commit(db);
    db_rollback(db);
    return status;
}

/* work may use the connection, or whoever borrowed it. */
enum db_status db_transaction(struct db *db, db_work *work, void *arg) {
    struct db *lent = db_lend(db);
    if (!lent)
        return DB_UNAVAILABLE;
    if (lent != db)
        db->lent = lent;
    enum db_status status = transact(lent, work, arg);
    db->lent = NULL;
    db_give_back(db, lent, status);
    return status;
}

enum db_status db_script(struct db *db, const char *sql) {
    struct db *lent = db_lend(db);
    if (!lent)
        return DB_UNAVAILABLE;
    enum db_status status = db_ready(lent);
    if (status == DB_OK)
        status = simple(lent, sql, false);
    db_give_back(db, lent, status);
    return status;
}

static bool take_notifications(struct db *db) {
    if (!PQconsumeInput(db->conn)) {
        (void)db_lost(db, PQerrorMessage(db->conn));
        return false;
    }
    bool any = false;
    for (PGnotify *n; (n = PQnotifies(db->conn)) != NULL; PQfreemem(n))
        any = true;
    return any;
}

bool db_wait_notify(struct db *db, int wake_fd, int timeout_ms) {
    if (db->conn && take_notifications(db))
        return true;
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN},
                           {.fd = db->conn ? PQsocket(db->conn) : -1, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) <= 0 || !db->conn || !fds[1].revents)
        return false;
    return take_notifications(db);
}
