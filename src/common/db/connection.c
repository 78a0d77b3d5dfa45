/* One PostgreSQL connection: losing it, finding out that it is gone. */
#include "measure.h"
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
    if (options->pool)
        db_pool_enter(db);
    else
        db_measure_open(db);
    return db;
}

void db_drop(struct db *db) {
    PQfinish(db->conn);
    db->conn = NULL;
    db_measure_drop(db);
    db->prepared_count = 0;
    db->stale = db->identified = db->pipelined = db->settings_due = false;
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
    return db->conn || db->reached;
}

void db_renew(struct db *db) {
    db->renew = true;
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
    db->seeker.lost_ms = clock_mono_ms();
    db->seeker.retry_at_ms = db->seeker.lost_ms + backoff_ms(0, RETRY_MS, RETRY_MS);
    return DB_UNAVAILABLE;
}

enum db_status db_leave(struct db *db, const char *why) {
    db->address++;
    db->wary = true;
    return db_lost(db, why);
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
