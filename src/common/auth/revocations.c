/* The revoked tokens in memory, and the thread that follows their table. */
#include "common/auth/revocations.h"

#include "common/base/clock.h"
#include "common/db/job.h"
#include "revocation_set.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 200,
    TIDY_MS = 60000,
    TIDY_ROWS = 10000,
    TRANSACTION_SIZE = 24, /* of a transaction id as text */
};

struct revocations {
    const char *table;
    char sql[3][320];
    struct db_query load, adopt, expire;
    /* of the thread */
    char since[TRANSACTION_SIZE]; /* what older transactions wrote was read */
    unsigned generation;          /* of the connection to the server whose transactions these are */
    int64_t tidy_ms;
    struct db_job *job;

    pthread_mutex_t lock; /* guards what follows */
    struct revocation_set set;
    bool read; /* the table was loaded once */
};

static int64_t revocations_now_s(void) {
    return clock_epoch_ms() / 1000;
}

/* False when out of memory. */
static bool revocations_put(struct revocations *r, const struct revocation list[], size_t n) {
    bool whole = true;
    int64_t now = revocations_now_s();
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        whole &= revocation_set_add(&r->set, &list[i], now);
    pthread_mutex_unlock(&r->lock);
    return whole;
}

enum { TOKEN_ID, EXPIRES_AT, SINCE }; /* columns of the statement load */

static bool revocations_put_rows(struct revocations *r, const struct db_result *rows) {
    size_t n = db_rows(rows);
    struct revocation *list = calloc(n + 1, sizeof *list);
    if (!list)
        return false;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct revocation){.token_id = db_uuid(rows, i, TOKEN_ID),
                                      .expires_at = db_int(rows, i, EXPIRES_AT)};
    bool whole = revocations_put(r, list, n);
    free(list);
    return whole;
}

/* Loads the rows of transactions that had not ended at the previous load. A sequence number would not do: a lower
 * one may be committed after a higher one was read. */
static enum db_status revocations_load(struct revocations *r, struct db *db) {
    struct db_params params = {0};
    struct db_result *rows = NULL;
    db_text_param(&params, r->since);
    enum db_status status = db_run(db, &r->load, &params, &rows);
    db_params_free(&params);
    if (status == DB_OK && !revocations_put_rows(r, rows))
        status = DB_NO_MEMORY;
    if (status == DB_OK && db_rows(rows) > 0)
        snprintf(r->since, sizeof r->since, "%s", db_text(rows, 0, SINCE));
    db_result_free(rows);
    return status;
}

/* Transaction ids belong to a server: another one (a failover, a restore from a dump) may have lower ones, so over a new
 * connection the whole table is read. Tokens that were revoked stay so in memory. */
static enum db_status revocations_catch_up(struct revocations *r, struct db *db) {
    enum db_status status;
    do {
        if (r->generation != db_generation(db))
            snprintf(r->since, sizeof r->since, "0");
        r->generation = db_generation(db);
        status = revocations_load(r, db);
    } while (status == DB_OK && r->generation != db_generation(db));
    return status;
}

/* Rows that were restored from a server with higher transaction ids would be loaded each time. */
static enum db_status revocations_tidy(struct revocations *r, struct db *db) {
    struct db_params params = {0};
    db_int_param(&params, TIDY_ROWS);
    enum db_status status = db_run(db, &r->expire, &params, NULL);
    if (status == DB_OK)
        status = db_run(db, &r->adopt, &params, NULL);
    db_params_free(&params);
    pthread_mutex_lock(&r->lock);
    revocation_set_tidy(&r->set, revocations_now_s());
    pthread_mutex_unlock(&r->lock);
    return status;
}

static int64_t revocations_run(void *self, struct db *db, enum db_status *status) {
    struct revocations *r = self;
    *status = revocations_catch_up(r, db);
    if (*status != DB_OK)
        return LOOK_MS;
    if (!r->read) {
        pthread_mutex_lock(&r->lock);
        r->read = true;
        pthread_mutex_unlock(&r->lock);
    }
    if (clock_mono_ms() >= r->tidy_ms) {
        *status = revocations_tidy(r, db);
        r->tidy_ms = clock_mono_ms() + TIDY_MS;
    }
    return LOOK_MS;
}

static void revocations_write_sql(struct revocations *r) {
    snprintf(r->sql[0], sizeof r->sql[0],
             "SELECT token_id, extract(epoch FROM expires_at)::bigint,"
             "       pg_snapshot_xmin(pg_current_snapshot())::text"
             "  FROM %s"
             " WHERE written_by >= $1::xid8 AND expires_at > now()",
             r->table);
    snprintf(r->sql[1], sizeof r->sql[1],
             "DELETE FROM %s"
             " WHERE token_id IN (SELECT token_id FROM %s"
             "                     WHERE expires_at <= now()"
             "                     ORDER BY expires_at"
             "                     LIMIT $1"
             "                       FOR UPDATE SKIP LOCKED)",
             r->table, r->table);
    snprintf(r->sql[2], sizeof r->sql[2],
             "UPDATE %s"
             "   SET written_by = pg_current_xact_id()"
             " WHERE token_id IN (SELECT token_id FROM %s"
             "                     WHERE written_by >= pg_snapshot_xmax(pg_current_snapshot())"
             "                     LIMIT $1"
             "                       FOR UPDATE SKIP LOCKED)",
             r->table, r->table);
    r->load = (struct db_query){"revocations_load", r->sql[0]};
    r->expire = (struct db_query){"revocations_expire", r->sql[1]};
    r->adopt = (struct db_query){"revocations_adopt", r->sql[2]};
}

struct revocations *revocations_start(const char *table, const struct db_options *db) {
    struct revocations *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->table = table;
    r->since[0] = '0';
    revocations_write_sql(r);
    pthread_mutex_init(&r->lock, NULL);
    r->job = db_job_start(&(struct db_job_options){.name = "reading of revoked tokens",
                                                   .db = *db,
                                                   .run = revocations_run,
                                                   .self = r,
                                                   .first_now = true});
    if (r->job)
        return r;
    revocations_stop(r);
    return NULL;
}

void revocations_stop(struct revocations *r) {
    if (!r)
        return;
    db_job_stop(r->job);
    revocation_set_free(&r->set);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

enum token_status revocations_check(struct revocations *r, const struct uuid *token_id) {
    pthread_mutex_lock(&r->lock);
    bool read = r->read, revoked = revocation_set_has(&r->set, token_id);
    pthread_mutex_unlock(&r->lock);
    if (revoked)
        return TOKEN_REVOKED;
    return read ? TOKEN_OK : TOKEN_UNDECIDED;
}

void revocations_add(struct revocations *r, const struct revocation list[], size_t n) {
    (void)revocations_put(r, list, n); /* the thread loads later what does not fit in memory now */
}

bool revocations_full(struct revocations *r) {
    pthread_mutex_lock(&r->lock);
    bool full = r->set.count >= REVOCATIONS_MAX;
    pthread_mutex_unlock(&r->lock);
    return full;
}
