/* Running statements and transactions on a connection, each with a deadline. */
#include "measure.h"
#include "private.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

/* The session goes on, with its locks and its LISTEN. */
static enum db_status forget_prepared(struct db *db) {
    db->prepared_count = 0;
    enum db_status status = db_finish(db, PQsendQuery(db->conn, "DEALLOCATE ALL"), true, NULL);
    db->stale = status != DB_OK;
    return status;
}

/* Connects, and learns which database it is. */
static enum db_status reach(struct db *db) {
    bool at_once = db->passed_over;
    db->passed_over = false;
    if (at_once)
        db->seeker.retry_at_ms = 0;
    enum db_status status = db_ensure_connected(db);
    if (status == DB_OK && db->stale && !db->options.pooler)
        status = forget_prepared(db);
    if (status != DB_OK || db->identified || db->identity_refused || !db->options.identity)
        return status;
    status = db_identify(db);
    return status == DB_FAILED ? db_ensure_connected(db) : status;
}

/* Makes the connection fit for statements. Behind an old primary there may be the new one. */
static enum db_status db_ready(struct db *db) {
    if (!db->in_transaction && db_is_outdated(db))
        db_drop(db);
    db->passed_over = false;
    enum db_status status = reach(db);
    for (size_t tried = 1; status == DB_UNAVAILABLE && tried < db->addresses && db->passed_over; tried++)
        status = reach(db);
    return status;
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
        db_finish(db, PQsendPrepare(db->conn, query->name, query->sql, count, types), true, NULL);
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

/* Settings of one statement go with it, in a pipeline, which is a transaction. */
static int send_prepared(struct db *db, const struct db_query *query, const struct db_values *v) {
    const struct db_query *settings = db->in_transaction ? NULL : db->settings;
    if (settings && !PQenterPipelineMode(db->conn))
        return 0;
    db->pipelined = settings;
    return (!settings || PQsendQueryPrepared(db->conn, settings->name, 0, NULL, NULL, NULL, 0)) &&
           PQsendQueryPrepared(db->conn, query->name, v->count, v->values, v->lengths, v->formats, 0) &&
           (!settings || PQpipelineSync(db->conn));
}

static enum db_status run_query(struct db *db, const struct db_query *query, const struct db_params *params,
                                struct db_result **result) {
    struct db_values v = {.count = params ? params->count : 0};
    for (int i = 0; i < v.count; i++) {
        const struct db_param *p = &params->list[i];
        v.values[i] = p->null ? NULL : p->bytes.data ? p->bytes.data : "";
        v.lengths[i] = (int)p->bytes.len;
        v.formats[i] = 1;
        v.types[i] = db_param_oid(p);
    }
    int sent = db->options.pooler ? db_pooler_send(db, query, &v) : send_prepared(db, query, &v);
    return db_finish(db, sent, true, result);
}

static enum db_status attempt(struct db *db, const struct db_query *query, const struct db_params *params,
                              struct db_result **result) {
    enum db_status status = db_ready(db);
    if (status == DB_OK && !db->options.pooler && db->settings && !db->in_transaction)
        status = ensure_prepared(db, db->settings, NULL);
    if (status == DB_OK && !db->options.pooler)
        status = ensure_prepared(db, query, params);
    if (status != DB_OK)
        return status;
    int64_t began_ns = clock_mono_ns();
    metric_add(db->used, 1);
    metric_add(db->idle, -1);
    status = run_query(db, query, params, result);
    metric_add(db->idle, 1);
    metric_add(db->used, -1);
    db_measure_statement(db, query->name, began_ns, status);
    if (status == DB_OK && db->identified)
        db_identity_confirm(db->options.identity, db->identity_changes, clock_mono_ms());
    return status;
}

enum db_status db_begin_with(struct db *db, const char *settings) {
    char sql[DB_SETTINGS_SIZE + sizeof "BEGIN; "];
    snprintf(sql, sizeof sql, "BEGIN; %s", settings);
    enum db_status status = db_simple(db, sql, true);
    if (status != DB_OK) /* it may have begun */
        db_drop(db);
    return status;
}

static enum db_status db_begin(struct db *db) {
    enum db_status status = db_ready(db);
    if (status != DB_OK)
        return status;
    status = db->options.pooler ? db_pooler_begin(db)
             : db->settings     ? db_begin_with(db, db->settings->sql)
                                : db_simple(db, "BEGIN", true);
    db->in_transaction = db->untouched = status == DB_OK;
    return status;
}

static enum db_status db_commit(struct db *db) {
    static const char commit[] = "COMMIT";
    if (!db->conn || !db->in_transaction)
        return DB_UNAVAILABLE;
    int64_t began_ns = clock_mono_ns();
    enum db_status status = db_simple(db, commit, true);
    db_measure_statement(db, commit, began_ns, status);
    db->in_transaction = false;
    return status;
}

struct db *db_lend(struct db *db) {
    if (db->lent)
        return db->lent;
    struct db *lent = db->options.pool ? db_pool_take(db) : db;
    if (!lent)
        return NULL;
    if (!lent->in_transaction)
        lent->settings = db->options.settings;
    if (db->renew) {
        db_drop(lent);
        lent->seeker.retry_at_ms = 0;
        db->renew = false;
    }
    return lent;
}

void db_give_back(struct db *db, struct db *lent, enum db_status status) {
    if (lent == db || db->lent)
        return;
    db->generation = lent->generation;
    db->reached = lent->conn;
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
        db_abandon(db, DB_REFUSED);
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
        status = db_simple(lent, sql, false);
    db_give_back(db, lent, status);
    return status;
}
