/* One PostgreSQL connection: connecting, statements with a deadline, transactions. */
#include "common/db/db.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 1000,   /* a server that was away is asked again after this long at most */
    GRACE_MS = 1000,   /* how much longer than the server's own statement timeout we wait */
    MAX_PREPARED = 32, /* statements of one connection: there are fewer queries in a daemon */
    ERROR_SIZE = 320,
};

struct db {
    struct db_options options;
    PGconn *conn;                       /* NULL: not connected */
    const char *prepared[MAX_PREPARED]; /* names of the statements this connection knows */
    size_t prepared_count;
    int64_t retry_at_ms; /* no connecting before */
    unsigned generation;
    bool in_transaction;
    char error[ERROR_SIZE];
};

struct db *db_open(const struct db_options *options) {
    struct db *db = calloc(1, sizeof *db);
    if (db)
        db->options = *options;
    return db;
}

static void drop(struct db *db) {
    PQfinish(db->conn);
    db->conn = NULL;
    db->prepared_count = 0;
}

void db_close(struct db *db) {
    if (!db)
        return;
    drop(db);
    free(db);
}

const char *db_error(const struct db *db) {
    return db->error;
}

bool db_is_connected(const struct db *db) {
    return db->conn;
}

unsigned db_generation(const struct db *db) {
    return db->generation;
}

/* Keeps the first line of a message, for one line in the log. */
static void set_error(struct db *db, const char *sqlstate, const char *message) {
    snprintf(db->error, sizeof db->error, "%s%s%.*s", sqlstate, *sqlstate ? " " : "",
             (int)strcspn(message, "\n"), message);
}

/* The connection is of no use any more: drop it, and leave the server alone for a moment. */
static enum db_status lost(struct db *db, const char *why) {
    set_error(db, "", why);
    drop(db);
    db->in_transaction = false;
    db->retry_at_ms = clock_mono_ms() + backoff_ms(0, RETRY_MS, RETRY_MS);
    return DB_UNAVAILABLE;
}

/* Waits for the connection's socket until the deadline (negative: none); false when it passed. */
static bool wait_socket(const struct db *db, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t left = deadline_ms < 0 ? 60000 : deadline_ms - clock_mono_ms();
        struct pollfd fd = {.fd = PQsocket(db->conn), .events = events};
        int ready = poll(&fd, 1, left < 0 ? 0 : (int)left);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
        if (deadline_ms >= 0 && clock_mono_ms() >= deadline_ms)
            return false;
    }
}

/* What the server only mentions; what matters comes back as an error. */
static void ignore_notice(void *cls, const char *message) {
    (void)cls, (void)message;
}

static bool start_connecting(struct db *db) {
    const struct db_options *o = &db->options;
    char session[512];
    /* The keepalives and the idle limit make the server drop the locks of a client that hangs or vanished;
     * the client's own end the wait for a server that vanished during a migration, which has no other limit.
     */
    snprintf(session, sizeof session,
             "-c statement_timeout=%d -c lock_timeout=%d -c idle_in_transaction_session_timeout=%d"
             " -c synchronous_commit=on -c timezone=UTC -c client_min_messages=warning"
             " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3",
             o->statement_timeout_ms, o->lock_timeout_ms, o->statement_timeout_ms + GRACE_MS);
    const char *const keys[] = {"host",
                                "port",
                                "dbname",
                                "user",
                                "password",
                                "sslmode",
                                "sslrootcert",
                                "options",
                                "application_name",
                                "tcp_user_timeout",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "client_encoding",
                                NULL};
    const char *const values[] = {o->host,
                                  o->port,
                                  o->name,
                                  o->user,
                                  o->password,
                                  o->sslmode,
                                  o->sslrootcert,
                                  session,
                                  o->application_name,
                                  "10000",
                                  "5",
                                  "2",
                                  "3",
                                  "UTF8",
                                  NULL};
    db->conn = PQconnectStartParams(keys, values, 0);
    return db->conn && PQstatus(db->conn) != CONNECTION_BAD;
}

static enum db_status db_connect(struct db *db) {
    int64_t now = clock_mono_ms();
    if (now < db->retry_at_ms)
        return DB_UNAVAILABLE; /* the error of the last try still stands */
    if (!start_connecting(db))
        return lost(db, db->conn ? PQerrorMessage(db->conn) : "out of memory");
    int64_t deadline = now + db->options.connect_timeout_ms;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK) {
        if (!wait_socket(db, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return lost(db, "connecting took too long");
        step = PQconnectPoll(db->conn);
        if (step == PGRES_POLLING_FAILED)
            return lost(db, PQerrorMessage(db->conn));
    }
    if (PQsetnonblocking(db->conn, 1) != 0)
        return lost(db, PQerrorMessage(db->conn));
    PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
    db->generation++;
    return DB_OK;
}

/* An idle connection that is readable was closed by the server (or got a NOTIFY): find out before it is used.
 * A server that says why it closes is readable twice, for its words and for the end. */
static bool alive(struct db *db) {
    struct pollfd fd = {.fd = PQsocket(db->conn), .events = POLLIN};
    while (poll(&fd, 1, 0) != 0)
        if (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK)
            return false;
    return true;
}

static enum db_status ensure_connected(struct db *db) {
    if (db->conn && alive(db))
        return DB_OK;
    if (db->in_transaction)
        return lost(db, "connection lost within a transaction");
    drop(db);
    return db_connect(db);
}

/* The status of a SQLSTATE, by its code or the start of it. The first row that fits counts. Tables or columns that
 * are missing (42P01, 42703) count as away: they come with the migrations. */
static enum db_status db_classify(const char *sqlstate) {
    static const struct {
        const char *start;
        enum db_status status;
    } states[] = {
        {"55P03", DB_LOCK_TIMEOUT}, {"57014", DB_STATEMENT_TIMEOUT}, {"40P01", DB_DEADLOCK},
        {"40001", DB_CONFLICT},     {"08", DB_UNAVAILABLE},          {"53", DB_UNAVAILABLE},
        {"57P", DB_UNAVAILABLE},    {"58", DB_UNAVAILABLE},          {"25006", DB_UNAVAILABLE},
        {"42P01", DB_UNAVAILABLE},  {"42703", DB_UNAVAILABLE},       {"22", DB_REFUSED},
        {"23", DB_REFUSED},
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(sqlstate, states[i].start, strlen(states[i].start)) == 0)
            return states[i].status;
    return DB_FAILED;
}

enum outcome db_outcome(enum db_status status) {
    if (db_is_busy(status))
        return OUTCOME_BUSY;
    switch (status) {
    case DB_OK:
        return OUTCOME_DONE;
    case DB_UNAVAILABLE:
        return OUTCOME_UNAVAILABLE;
    case DB_REFUSED:
        return OUTCOME_REFUSED;
    case DB_NO_MEMORY:
        return OUTCOME_NO_MEMORY;
    default:
        return OUTCOME_FAILED;
    }
}

/* The status of one result; of a failed one its words are kept. */
static enum db_status judge(struct db *db, const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return DB_OK;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    set_error(db, sqlstate ? sqlstate : "", message ? message : PQerrorMessage(db->conn));
    return sqlstate ? db_classify(sqlstate) : DB_UNAVAILABLE;
}

/* Reads everything that was asked for. The last result, or the first failed one, decides. */
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
        if (!wait_socket(db, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline_ms)) {
            PQclear(kept);
            return lost(db, "no answer within the deadline");
        }
        if (!PQconsumeInput(db->conn))
            break;
    }
    if (PQstatus(db->conn) != CONNECTION_OK) {
        PQclear(kept);
        return lost(db, PQerrorMessage(db->conn));
    }
    if (!kept) {
        status = DB_FAILED;
        set_error(db, "", PQerrorMessage(db->conn));
    }
    *out = kept;
    return status;
}

static void db_rollback(struct db *db);

/* After a failure nothing of the transaction stays, and a connection in an unknown state is not kept. */
static void abandon(struct db *db, enum db_status status) {
    if (db->conn && status != DB_REFUSED && !db_is_busy(status))
        drop(db);
    if (!db->in_transaction)
        return;
    char error[ERROR_SIZE];
    memcpy(error, db->error, sizeof error);
    db_rollback(db);
    memcpy(db->error, error, sizeof error);
}

static enum db_status finish(struct db *db, int sent, bool bounded, struct db_result **out) {
    PGresult *result = NULL;
    int64_t deadline = bounded ? clock_mono_ms() + db->options.statement_timeout_ms + GRACE_MS : -1;
    enum db_status status = sent ? collect(db, deadline, &result) : lost(db, PQerrorMessage(db->conn));
    if (status != DB_OK)
        abandon(db, status);
    if (status == DB_OK && out)
        *out = (struct db_result *)result;
    else
        PQclear(result);
    return status;
}

static enum db_status ensure_prepared(struct db *db, const struct db_query *query,
                                      const struct db_params *params) {
    for (size_t i = 0; i < db->prepared_count; i++)
        if (db->prepared[i] == query->name)
            return DB_OK;
    if (db->prepared_count == MAX_PREPARED) {
        set_error(db, "", "too many prepared statements");
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

enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) {
    if (!complete(params)) {
        set_error(db, "", "out of memory, or too many parameters");
        abandon(db, DB_REFUSED);
        return DB_NO_MEMORY;
    }
    enum db_status status = ensure_connected(db);
    if (status == DB_OK)
        status = ensure_prepared(db, query, params);
    if (status != DB_OK)
        return status;
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

static enum db_status simple(struct db *db, const char *sql, bool bounded) {
    return finish(db, PQsendQuery(db->conn, sql), bounded, NULL);
}

static enum db_status db_begin(struct db *db) {
    enum db_status status = ensure_connected(db);
    if (status != DB_OK)
        return status;
    status = simple(db, "BEGIN", true);
    db->in_transaction = status == DB_OK;
    return status;
}

static enum db_status db_commit(struct db *db) {
    if (!db->conn || !db->in_transaction)
        return DB_UNAVAILABLE;
    enum db_status status = simple(db, "COMMIT", true);
    db->in_transaction = false;
    return status;
}

static void db_rollback(struct db *db) {
    if (!db->in_transaction)
        return;
    db->in_transaction = false;
    if (db->conn && simple(db, "ROLLBACK", true) != DB_OK)
        drop(db);
}

enum db_status db_transaction(struct db *db, db_work *work, void *arg) {
    enum db_status status = db_begin(db);
    if (status == DB_OK)
        status = work(db, arg);
    if (status == DB_OK)
        return db_commit(db);
    db_rollback(db);
    return status;
}

enum db_status db_script(struct db *db, const char *sql) {
    enum db_status status = ensure_connected(db);
    return status == DB_OK ? simple(db, sql, false) : status;
}

static bool take_notifications(struct db *db) {
    if (!PQconsumeInput(db->conn)) {
        (void)lost(db, PQerrorMessage(db->conn));
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
