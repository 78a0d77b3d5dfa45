/* One PostgreSQL connection: connecting with a deadline, losing it, finding out that it is gone. */
#include "private.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000 }; /* maximum pause before the next attempt to connect */

struct db *db_open(const struct db_options *options) {
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        return NULL;
    db->options = *options;
    db_measure_open(db);
    return db;
}

void db_drop(struct db *db) {
    PQfinish(db->conn);
    db->conn = NULL;
    db_measure_drop(db);
    db->prepared_count = 0;
    db->stale = db->identified = false;
}

void db_close(struct db *db) {
    if (!db)
        return;
    db_drop(db);
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

void db_set_error(struct db *db, const char *sqlstate, const char *message) {
    snprintf(db->error, sizeof db->error, "%s%s%.*s", sqlstate, *sqlstate ? " " : "",
             (int)strcspn(message, "\n"), message);
}

enum db_status db_lost(struct db *db, const char *why) {
    db_set_error(db, "", why);
    db_drop(db);
    db->in_transaction = false;
    db->retry_at_ms = clock_mono_ms() + backoff_ms(0, RETRY_MS, RETRY_MS);
    return DB_UNAVAILABLE;
}

bool db_wait_socket(const struct db *db, short events, int64_t deadline_ms) {
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

/* Notices are ignored: what matters arrives as an error. */
static void ignore_notice(void *cls, const char *message) {
    (void)cls, (void)message;
}

static bool start_connecting(struct db *db, const struct db_address *address) {
    const struct db_options *o = &db->options;
    char session[512];
    /* The server's keepalives and idle limit make it drop the locks of a client that hangs or vanished. The
     * client's own keepalives end the wait for a server that vanished during a migration, which has no other
     * limit. */
    snprintf(session, sizeof session,
             "-c statement_timeout=%d -c lock_timeout=%d -c idle_in_transaction_session_timeout=%d"
             " -c synchronous_commit=on -c timezone=UTC -c client_min_messages=warning"
             " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3",
             o->statement_timeout_ms, o->lock_timeout_ms, o->statement_timeout_ms + DB_GRACE_MS);
    char password[SECRET_SIZE];
    const char *const keys[] = {"host",
                                "hostaddr",
                                "port",
                                "target_session_attrs",
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
    const char *const values[] = {address->host,
                                  *address->ip ? address->ip : NULL,
                                  address->port,
                                  "read-write", /* a standby is passed over */
                                  o->name,
                                  o->user,
                                  secret_now(&o->password, password),
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

/* Each address has a deadline of its own, so that one that is silent does not hide the others. */
static bool try_address(struct db *db, const struct db_address *address) {
    const char *fault = NULL;
    int64_t deadline = clock_mono_ms() + db->options.connect_timeout_ms;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    if (!start_connecting(db, address))
        fault = db->conn ? PQerrorMessage(db->conn) : "out of memory";
    while (!fault && step != PGRES_POLLING_OK) {
        if (!db_wait_socket(db, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            fault = "connection timeout";
            break;
        }
        step = PQconnectPoll(db->conn);
        if (step == PGRES_POLLING_FAILED)
            fault = PQerrorMessage(db->conn);
    }
    if (!fault && PQsetnonblocking(db->conn, 1) != 0)
        fault = PQerrorMessage(db->conn);
    if (fault)
        (void)db_lost(db, fault);
    return !fault;
}

static enum db_status db_connect(struct db *db) {
    struct db_address list[DB_MAX_ADDRESSES];
    const char *why = "it has no address";
    if (clock_mono_ms() < db->retry_at_ms)
        return DB_UNAVAILABLE; /* db_error still has the last failure */
    size_t count = db_addresses(&db->options, list, &why), tried = 0;
    while (tried < count && !try_address(db, &list[(db->address + tried) % count]))
        tried++;
    if (count == 0) {
        char reason[DB_ERROR_SIZE];
        snprintf(reason, sizeof reason, "cannot resolve %.128s: %s", db->options.host, why);
        return db_lost(db, reason);
    }
    db_measure_connect(db, tried < count);
    if (tried == count)
        return DB_UNAVAILABLE;
    db->address = (db->address + tried) % count;
    db->retry_at_ms = 0;
    PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
    db->generation++;
    return DB_OK;
}

/* Finds out, before an idle connection is used, whether the server has closed it. It is readable then, or because
 * of a NOTIFY. A server that says why it closes makes it readable twice: for the message, and for the end. */
static bool alive(struct db *db) {
    struct pollfd fd = {.fd = PQsocket(db->conn), .events = POLLIN};
    while (poll(&fd, 1, 0) != 0)
        if (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK)
            return false;
    return true;
}

enum db_status db_ensure_connected(struct db *db) {
    if (db->conn && alive(db))
        return DB_OK;
    if (db->in_transaction)
        return db_lost(db, "connection lost during a transaction");
    db_drop(db);
    return db_connect(db);
}
