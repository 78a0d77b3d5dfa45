/* The revoked tokens in memory, and the thread that follows their tables. */
#include "common/auth/revocations.h"

#include "common/base/clock.h"
#include "common/db/job.h"
#include "revoked_clients.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 200,
    TIDY_MS = 60000,
    TIDY_ROWS = 10000,
};

enum { REVOKED_TOKENS, REVOKED_CLIENTS, KINDS };

static const struct {
    const char *suffix, *key, *expire, *adopt; /* of its table: name, primary key, names of statements */
} revoked_kinds[KINDS] = {
    [REVOKED_TOKENS] = {"tokens", "token_id", "revocations_expire", "revocations_adopt"},
    [REVOKED_CLIENTS] = {"clients", "client_id", "revocations_expire_clients", "revocations_adopt_clients"},
};

struct revocations {
    char load_sql[1536], tidy_sql[KINDS][2][320];
    struct db_query load, expire[KINDS], adopt[KINDS];
    /* of the thread */
    int64_t since;    /* what older transactions wrote was read */
    int64_t server;   /* whose transactions these are */
    int64_t latest_s; /* of the wall clock */
    int64_t tidy_ms;
    struct db_job *job;

    pthread_mutex_t lock; /* guards what follows */
    struct revoked_clients set;
    bool read; /* the tables were loaded once */
};

static int64_t revocations_now_s(void) {
    return clock_epoch_ms() / 1000;
}

enum { TOKEN_ID, CLIENT_ID, TIME, EXPIRES_AT, SINCE, SERVER }; /* columns of the statement load */

/* The caller holds the lock. False when out of memory. */
static bool revocations_put_row(struct revocations *r, const struct db_result *rows, size_t row,
                                int64_t now) {
    int64_t time = db_is_null(rows, row, TIME) ? REVOCATION_NO_TIME : db_int(rows, row, TIME);
    int64_t expires_at = db_int(rows, row, EXPIRES_AT);
    const char *client_id = db_text(rows, row, CLIENT_ID);
    if (db_is_null(rows, row, TOKEN_ID))
        return revoked_clients_end(&r->set, &(struct client_revocation){client_id, time, expires_at}, now);
    const struct revocation token = {db_uuid(rows, row, TOKEN_ID), expires_at, client_id, time};
    return revoked_clients_add(&r->set, &token, now);
}

static bool revocations_put_rows(struct revocations *r, const struct db_result *rows) {
    bool whole = true;
    int64_t now = revocations_now_s();
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < db_rows(rows); i++)
        whole &= revocations_put_row(r, rows, i, now);
    pthread_mutex_unlock(&r->lock);
    return whole;
}

/* Notes what was read. Of another server, that was the whole table. */
static void revocations_note(struct revocations *r, const struct db_result *rows) {
    if (db_rows(rows) > 0 && db_int(rows, 0, SERVER) != r->server) {
        r->server = db_int(rows, 0, SERVER);
        r->since = 0;
    }
    for (size_t i = 0; i < db_rows(rows); i++)
        if (db_int(rows, i, SINCE) > r->since)
            r->since = db_int(rows, i, SINCE);
}

/* Loads the rows of transactions that had not ended at the previous load. A sequence number would not do: a lower
 * one may be committed after a higher one was read. It goes on behind a row that was read, not where the server is: a
 * server that crashes gives those numbers again of which nothing is on its disk.
 * Transaction ids belong to one run of a server: another one (a failover, a restore from a dump) may have lower ids, so the
 * statement reads the whole table there. Tokens that were revoked stay so in memory. */
static enum db_status revocations_load(struct revocations *r, struct db *db) {
    struct db_params params = {0};
    struct db_result *rows = NULL;
    db_int_param(&params, r->since);
    db_int_param(&params, r->server);
    enum db_status status = db_run(db, &r->load, &params, &rows);
    db_params_free(&params);
    if (status == DB_OK && !revocations_put_rows(r, rows))
        status = DB_NO_MEMORY;
    if (status == DB_OK)
        revocations_note(r, rows);
    db_result_free(rows);
    return status;
}

/* Rows that were restored from a server with higher transaction ids would be loaded each time. */
static enum db_status revocations_tidy(struct revocations *r, struct db *db) {
    struct db_params params = {0};
    enum db_status status = DB_OK;
    db_int_param(&params, TIDY_ROWS);
    for (int kind = 0; status == DB_OK && kind < KINDS; kind++) {
        status = db_run(db, &r->expire[kind], &params, NULL);
        if (status == DB_OK)
            status = db_run(db, &r->adopt[kind], &params, NULL);
    }
    db_params_free(&params);
    pthread_mutex_lock(&r->lock);
    revoked_clients_tidy(&r->set, revocations_now_s());
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* While the wall clock was ahead, what seemed to have expired was not kept. When it is set back, all is read again. */
static void revocations_watch_clock(struct revocations *r) {
    int64_t now = revocations_now_s();
    if (now < r->latest_s - 1) {
        r->since = 0;
        r->latest_s = now;
    }
    if (now > r->latest_s)
        r->latest_s = now;
}

static int64_t revocations_run(void *self, struct db *db, enum db_status *status) {
    struct revocations *r = self;
    revocations_watch_clock(r);
    *status = revocations_load(r, db);
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

/* clang-format off */
#define REVOCATION_ROWS(token, time, kind)                                                                   \
    "SELECT " token ", client_id, (extract(epoch FROM " time ") * 1000)::bigint,"                            \
    "       extract(epoch FROM expires_at)::bigint,"                                                         \
    "       CASE WHEN written_by < pg_snapshot_xmin(pg_current_snapshot())"                                  \
    "            THEN written_by::text::bigint + 1 ELSE 0 END,"                                              \
    "       (SELECT server FROM here)"                                                                       \
    "  FROM %s_" kind                                                                                        \
    " WHERE written_by >= (SELECT CASE server WHEN $2 THEN $1 ELSE 0 END::bigint::text::xid8 FROM here)"     \
    "   AND expires_at > now()"

static const char load_text[] =
    "WITH here AS MATERIALIZED ("
    "  SELECT hashtextextended(extract(epoch FROM pg_postmaster_start_time()) || '/' || datid, 0) AS server"
    "    FROM pg_stat_get_activity(pg_backend_pid())"
    ") " REVOCATION_ROWS("token_id", "issued_at", "tokens")
    " UNION ALL " REVOCATION_ROWS("NULL", "issued_before", "clients");
/* clang-format on */

static void revocations_write_sql(struct revocations *r, const char *prefix) {
    snprintf(r->load_sql, sizeof r->load_sql, load_text, prefix, prefix);
    r->load = (struct db_query){"revocations_load", r->load_sql};
    for (int i = 0; i < KINDS; i++) {
        const char *suffix = revoked_kinds[i].suffix, *key = revoked_kinds[i].key;
        snprintf(r->tidy_sql[i][0], sizeof r->tidy_sql[i][0],
                 "DELETE FROM %s_%s"
                 " WHERE %s IN (SELECT %s FROM %s_%s"
                 "               WHERE expires_at <= now()"
                 "               ORDER BY expires_at"
                 "               LIMIT $1"
                 "                 FOR UPDATE SKIP LOCKED)",
                 prefix, suffix, key, key, prefix, suffix);
        snprintf(r->tidy_sql[i][1], sizeof r->tidy_sql[i][1],
                 "UPDATE %s_%s"
                 "   SET written_by = pg_current_xact_id()"
                 " WHERE %s IN (SELECT %s FROM %s_%s"
                 "               WHERE written_by >= pg_snapshot_xmax(pg_current_snapshot())"
                 "               LIMIT $1"
                 "                 FOR UPDATE SKIP LOCKED)",
                 prefix, suffix, key, key, prefix, suffix);
        r->expire[i] = (struct db_query){revoked_kinds[i].expire, r->tidy_sql[i][0]};
        r->adopt[i] = (struct db_query){revoked_kinds[i].adopt, r->tidy_sql[i][1]};
    }
}

struct revocations *revocations_start(const char *prefix, const struct db_options *db) {
    struct revocations *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    revocations_write_sql(r, prefix);
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
    revoked_clients_free(&r->set);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

enum token_status revocations_check(struct revocations *r, const struct token_claims *claims) {
    int64_t issued_ms = token_issued_ms(claims);
    pthread_mutex_lock(&r->lock);
    bool read = r->read;
    bool revoked = revoked_clients_has(&r->set, claims->client_id, &claims->id, issued_ms);
    pthread_mutex_unlock(&r->lock);
    if (revoked)
        return TOKEN_REVOKED;
    return read ? TOKEN_OK : TOKEN_UNDECIDED;
}

bool revocations_loaded(struct revocations *r) {
    pthread_mutex_lock(&r->lock);
    bool read = r->read;
    pthread_mutex_unlock(&r->lock);
    return read;
}

/* What does not fit in memory now, the thread loads later. */
void revocations_add(struct revocations *r, const struct revocation list[], size_t n) {
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        (void)!revoked_clients_add(&r->set, &list[i], revocations_now_s());
    pthread_mutex_unlock(&r->lock);
}

void revocations_end(struct revocations *r, const struct client_revocation list[], size_t n) {
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++)
        (void)!revoked_clients_end(&r->set, &list[i], revocations_now_s());
    pthread_mutex_unlock(&r->lock);
}

bool revocations_crowded(struct revocations *r, const char *client_id, int64_t *keep) {
    pthread_mutex_lock(&r->lock);
    const struct revoked_client *client = revoked_clients_find(&r->set, client_id);
    size_t own = client ? client->tokens.count : 0;
    bool full = r->set.tokens >= REVOCATIONS_MAX;
    pthread_mutex_unlock(&r->lock);
    *keep = full ? 0 : REVOCATIONS_SHARE / 2;
    return full || own >= REVOCATIONS_SHARE;
}
