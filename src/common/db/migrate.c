/* Applying numbered SQL migrations, and remembering them in a ledger table. */
#include "common/db/migrate.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/db.h"

#include <stdio.h>
#include <string.h>

enum {
    LEDGER_SIZE = 64,
    LOCK_RETRY_MS = 100,
    LOCK_WAIT_MS = 10 * 60 * 1000, /* another replica's migrations may take long */
    TABLE_LOCK_MS = 50,    /* while a migration waits for a table, so does everybody who comes later */
    TABLE_RETRY_MS = 500,  /* then the others go on */
    VACUUM_LOCK_MS = 1500, /* autovacuum gives way to who waits for longer than deadlock_timeout, 1 s */
    VACUUM_TRIES = 10,     /* one in so many */
};

/* A session lock: it spans transactions, and is released when the connection is lost. */
static const struct db_query try_lock = {"migrate_lock",
                                         "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"};
static const struct db_query unlock = {"migrate_unlock", "SELECT pg_advisory_unlock_all()"};
static const struct db_query ledger_exists = {"migrate_ledger", "SELECT to_regclass($1) IS NOT NULL"};

static void name_ledger(const char *service, char ledger[static LEDGER_SIZE]) {
    snprintf(ledger, LEDGER_SIZE, "%s_migrations", service);
}

/* Runs a query whose parameter is the name of the ledger and whose result is one boolean. */
static enum db_status migrate_ask(struct db *db, const struct db_query *query, const char *ledger,
                                  bool *answer) {
    struct db_params params = {0};
    struct db_result *result = NULL;
    db_text_param(&params, ledger);
    enum db_status status = db_run(db, query, &params, &result);
    db_params_free(&params);
    if (status == DB_OK)
        *answer = db_bool(result, 0, 0);
    db_result_free(result);
    return status;
}

static bool lock_ledger(struct db *db, const char *ledger) {
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
    bool waiting = false;
    for (;;) {
        bool locked = false;
        if (migrate_ask(db, &try_lock, ledger, &locked) != DB_OK) {
            log_error(NULL, "migrations: %s", db_error(db));
            return false;
        }
        if (locked)
            return true;
        if (clock_mono_ms() > deadline) {
            log_error(NULL, "migrations: timed out waiting for the lock on %s", ledger);
            return false;
        }
        if (!waiting)
            log_info(NULL, "migrations: waiting for another process to finish");
        waiting = true;
        clock_sleep_ms(LOCK_RETRY_MS);
    }
}

static enum db_status read_ledger(struct db *db, const char *ledger, struct db_result **names) {
    char sql[LEDGER_SIZE + 32];
    snprintf(sql, sizeof sql, "SELECT name FROM %s", ledger);
    const struct db_query query = {"migrate_names", sql}; /* a connection only serves one ledger */
    return db_run(db, &query, NULL, names);
}

static bool is_listed(const struct db_result *names, const char *name) {
    for (size_t row = 0; row < db_rows(names); row++)
        if (strcmp(db_text(names, row, 0), name) == 0)
            return true;
    return false;
}

/* Whether the database is being vacuumed or analyzed, by whomever: a user without rights is not told more. */
static bool is_vacuumed(struct db *db) {
    static const struct db_query query = {
        "migrate_vacuum",
        "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE datname = current_database()"
        " UNION ALL SELECT FROM pg_stat_progress_analyze WHERE datname = current_database())"};
    struct db_result *result = NULL;
    bool is = db_run(db, &query, NULL, &result) == DB_OK && db_bool(result, 0, 0);
    db_result_free(result);
    return is;
}

static enum db_status run_within(struct db *db, int lock_ms, const char *script) {
    char limit[64];
    snprintf(limit, sizeof limit, "SET lock_timeout = %d", lock_ms);
    enum db_status status = db_script(db, limit);
    return status == DB_OK ? db_script(db, script) : status;
}

/* Tries again as long as somebody holds a table that the script needs. */
static enum db_status run_between_others(struct db *db, const char *script, const char *name) {
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
    int lock_ms = TABLE_LOCK_MS;
    enum db_status status;
    for (int tries = 1; (status = run_within(db, lock_ms, script)) == DB_LOCK_TIMEOUT; tries++) {
        if (clock_mono_ms() >= deadline)
            break;
        if (tries == 1)
            log_info(NULL, "migration %s: waiting for a table that others hold", name);
        clock_sleep_ms(TABLE_RETRY_MS);
        lock_ms = tries % VACUUM_TRIES == 0 && is_vacuumed(db) ? VACUUM_LOCK_MS : TABLE_LOCK_MS;
    }
    return status;
}

/* A migration may run as long as it needs, but waits for a lock for a moment only. The row of the ledger is committed with
 * the migration. */
static bool apply_one(struct db *db, const char *ledger, const struct migration *migration) {
    struct buf script = {0};
    buf_printf(&script,
               "SET LOCAL statement_timeout = 0;\n%s\n;\nINSERT INTO %s (name) VALUES ('%s');"
               "RESET lock_timeout;",
               migration->sql, ledger, migration->name);
    bool applied = !script.failed && run_between_others(db, script.data, migration->name) == DB_OK;
    if (applied)
        log_info(NULL, "migration %s applied", migration->name);
    else
        log_error(NULL, "migration %s: %s", migration->name, script.failed ? "out of memory" : db_error(db));
    buf_free(&script);
    return applied;
}

static bool migrate_fails(const struct db *db, const struct migration *migration, const char *part) {
    log_error(NULL, "migration %s: %s: %s", migration->name, part, db_error(db));
    return false;
}

/* What an earlier run that was interrupted has left of the indexes of this migration: IF NOT EXISTS would take them for
 * whole ones. */
static bool drop_invalid(struct db *db, const struct migration *migration) {
    static const struct db_query query = {"migrate_invalid",
                                          "SELECT 'DROP INDEX CONCURRENTLY ' || indexrelid::regclass"
                                          "  FROM pg_index JOIN pg_class ON oid = indexrelid"
                                          " WHERE NOT indisvalid AND position(relname IN $1) > 0"};
    struct db_params params = {0};
    struct db_result *drops = NULL;
    db_text_param(&params, migration->sql);
    bool good = db_run(db, &query, &params, &drops) == DB_OK;
    db_params_free(&params);
    for (size_t i = 0; good && i < db_rows(drops); i++) {
        log_info(NULL, "migration %s: an earlier run was interrupted: %s", migration->name,
                 db_text(drops, i, 0));
        good = db_script(db, db_text(drops, i, 0)) == DB_OK;
    }
    db_result_free(drops);
    return good || migrate_fails(db, migration, "what an earlier run left");
}

/* A statement ends with a semicolon at the end of a line. */
static bool run_statements(struct db *db, const struct migration *migration) {
    unsigned number = 0;
    for (const char *at = migration->sql, *end; (end = strstr(at, ";\n")) != NULL; at = end + 2) {
        struct buf one = {0};
        char part[32];
        snprintf(part, sizeof part, "statement %u", ++number);
        log_info(NULL, "migration %s: %s", migration->name, part);
        buf_append(&one, at, (size_t)(end - at));
        bool good = !one.failed && db_script(db, one.data) == DB_OK;
        buf_free(&one);
        if (!good)
            return migrate_fails(db, migration, part);
    }
    return true;
}

/* Without a transaction: for what does not run in one, such as CREATE INDEX CONCURRENTLY, which locks out nobody. It waits
 * for those who were there before, as long as they need. Whatever interrupts it, it is run again from its start. */
static bool apply_alone(struct db *db, const char *ledger, const struct migration *migration) {
    char done[LEDGER_SIZE + 128];
    unsigned connection = db_generation(db);
    snprintf(done, sizeof done, "INSERT INTO %s (name) VALUES ('%s')", ledger, migration->name);
    bool applied = db_script(db, "SET statement_timeout = 0; SET lock_timeout = 0") == DB_OK ||
                   migrate_fails(db, migration, "settings");
    applied = applied && drop_invalid(db, migration) && run_statements(db, migration);
    bool reset = db_script(db, "RESET statement_timeout; RESET lock_timeout") == DB_OK;
    if (!applied)
        return false;
    if (db_generation(db) != connection) /* and with it the lock */
        return migrate_fails(db, migration, "the connection was lost; try again");
    if (!reset || db_script(db, done) != DB_OK)
        return migrate_fails(db, migration, "end");
    log_info(NULL, "migration %s applied", migration->name);
    return true;
}

static bool apply_migration(struct db *db, const char *ledger, const struct migration *migration) {
    bool alone = strncmp(migration->sql, MIGRATE_ALONE, strlen(MIGRATE_ALONE)) == 0;
    return alone ? apply_alone(db, ledger, migration) : apply_one(db, ledger, migration);
}

static bool apply_missing(struct db *db, const char *ledger, const struct migration *table) {
    char create[LEDGER_SIZE + 128];
    snprintf(create, sizeof create,
             "CREATE TABLE IF NOT EXISTS %s (name text PRIMARY KEY, "
             "applied_at timestamptz NOT NULL DEFAULT now())",
             ledger);
    struct db_result *names = NULL;
    if (db_script(db, create) != DB_OK || read_ledger(db, ledger, &names) != DB_OK) {
        log_error(NULL, "migrations: %s", db_error(db));
        return false;
    }
    bool good = true;
    for (; good && table->name; table++)
        good = is_listed(names, table->name) || apply_migration(db, ledger, table);
    db_result_free(names);
    return good;
}

bool migrate_apply(struct db *db, const char *service, const struct migration *table) {
    char ledger[LEDGER_SIZE];
    name_ledger(service, ledger);
    if (!lock_ledger(db, ledger))
        return false;
    bool good = apply_missing(db, ledger, table);
    if (db_run(db, &unlock, NULL, NULL) != DB_OK)
        log_debug(NULL, "migrations: %s", db_error(db)); /* the lost connection released the lock */
    return good;
}

bool migrate_is_current(struct db *db, const char *service, const struct migration *table) {
    char ledger[LEDGER_SIZE];
    name_ledger(service, ledger);
    bool exists = false;
    struct db_result *names = NULL;
    if (migrate_ask(db, &ledger_exists, ledger, &exists) != DB_OK || !exists ||
        read_ledger(db, ledger, &names) != DB_OK)
        return false;
    while (table->name && is_listed(names, table->name))
        table++;
    db_result_free(names);
    return !table->name;
}

bool migrate_database(const struct db_options *options, const char *service, const struct migration *table) {
    struct db *db = db_open(options);
    bool done = db && migrate_apply(db, service, table);
    db_close(db);
    return done;
}
