/* What is sent to the server, and what it answers, within a deadline. */
#include "private.h"

#include "common/base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 250 }; /* between two looks at what other connections have found */

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

/* Whether this was the last result. In a pipeline, each query has an end, and the synchronization is the last result. */
static bool is_end(struct db *db, PGresult *result) {
    if (!db->pipelined || PQstatus(db->conn) != CONNECTION_OK)
        return !result;
    if (!result || PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        return false;
    PQclear(result);
    db->pipelined = false;
    (void)PQexitPipelineMode(db->conn); /* all answers are there */
    return true;
}

/* Waits for the socket. False when the deadline has passed, or when another connection has found that the database was
 * replaced: then an old primary may be silent for ever. */
static bool await_answer(const struct db *db, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t look_ms = clock_mono_ms() + LOOK_MS;
        bool last = deadline_ms >= 0 && deadline_ms <= look_ms;
        if (db_wait_socket(db, events, last ? deadline_ms : look_ms))
            return true;
        if (last || db_is_outdated(db))
            return false;
    }
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
            if (is_end(db, result))
                break;
            if (!result)
                continue;
            db_pooler_note(db, result);
            if (status == DB_OK) {
                status = judge(db, result);
                PQclear(kept);
                kept = result;
            } else {
                PQclear(result);
            }
            continue;
        }
        if (!await_answer(db, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline_ms)) {
            PQclear(kept);
            if (db_is_outdated(db))
                return db_pass_over(db);
            /* Another server may take writes now, while this one waits for its standby for ever. */
            return db_leave(db, "no response within the statement timeout");
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

void db_abandon(struct db *db, enum db_status status) {
    if (db->conn && status != DB_REFUSED && !db_is_busy(status))
        db_drop(db);
    if (!db->in_transaction)
        return;
    char error[DB_ERROR_SIZE];
    memcpy(error, db->error, sizeof error);
    db_rollback(db);
    memcpy(db->error, error, sizeof error);
}

enum db_status db_finish(struct db *db, int sent, bool bounded, struct db_result **out) {
    PGresult *result = NULL;
    int64_t deadline = bounded ? clock_mono_ms() + db->options.statement_timeout_ms + DB_GRACE_MS : -1;
    enum db_status status = sent ? collect(db, deadline, &result) : db_lost(db, PQerrorMessage(db->conn));
    if (db->old_primary) {
        db->old_primary = false;
        status = db_pass_over(db);
    }
    if (db->options.heard)
        (void)db_tell_notifications(db);
    if (status != DB_OK)
        db_abandon(db, status);
    if (status == DB_OK && out)
        *out = (struct db_result *)result;
    else
        PQclear(result);
    return status;
}

enum db_status db_simple(struct db *db, const char *sql, bool bounded) {
    return db_finish(db, PQsendQuery(db->conn, sql), bounded, NULL);
}

void db_rollback(struct db *db) {
    if (!db->in_transaction)
        return;
    db->in_transaction = false;
    if (db->conn && db_simple(db, "ROLLBACK", true) != DB_OK)
        db_drop(db);
}
