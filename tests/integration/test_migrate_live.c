/* migrate.c against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD), in a database of its own. */
#include "common/base/log.h"
#include "common/db/db.h"
#include "common/db/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPLICAS 4

static char database[64];

static struct db_options options_of(const char *name) {
    return (struct db_options){.host = getenv("DB_HOST"),
                               .port = getenv("DB_PORT"),
                               .name = name,
                               .user = getenv("DB_USER"),
                               .password = {.text = getenv("DB_PASSWORD")},
                               .sslmode = "prefer",
                               .application_name = "test_migrate_live",
                               .connect_timeout_ms = 10000,
                               .statement_timeout_ms = 10000,
                               .lock_timeout_ms = 10000};
}

static int on_server(const char *verb) {
    char sql[128];
    snprintf(sql, sizeof sql, "%s %s", verb, database);
    struct db_options options = options_of("postgres");
    struct db *db = db_open(&options);
    bool good = db_script(db, sql) == DB_OK;
    db_close(db);
    return good ? 0 : -1;
}

static int create_database(void **state) {
    (void)state;
    snprintf(database, sizeof database, "migrate_live_%ld", (long)getpid());
    return on_server("CREATE DATABASE");
}

static int drop_database(void **state) {
    (void)state;
    return on_server("DROP DATABASE");
}

static int connect_db(void **state) {
    struct db_options options = options_of(database);
    *state = db_open(&options);
    return *state ? 0 : -1;
}

static int disconnect_db(void **state) {
    db_close(*state);
    return 0;
}

static void assert_runs(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static void each_migration_is_applied_once_in_order(void **state) {
    static const struct migration one[] = {{"001_goods", "CREATE TABLE goods (id int)"}, {0}};
    static const struct migration two[] = {
        {"001_goods", "CREATE TABLE goods (id int)"},
        {"002_name", "ALTER TABLE goods ADD name text; INSERT INTO goods VALUES (1, 'x') -- the end"},
        {0}};
    struct db *db = *state;
    assert_false(migrate_is_current(db, "goods", one));
    assert_true(migrate_apply(db, "goods", one));
    assert_true(migrate_is_current(db, "goods", one));
    assert_false(migrate_is_current(db, "goods", two));

    /* Another connection, while this one is still open: the lock was given back. */
    struct db_options options = options_of(database);
    struct db *other = db_open(&options);
    assert_true(migrate_apply(other, "goods", two));
    assert_true(migrate_apply(other, "goods", two));
    db_close(other);
    assert_true(migrate_is_current(db, "goods", two));
    assert_runs(db, "SELECT 1 / (count(*) = 1)::int FROM goods WHERE name = 'x'");
    assert_runs(db, "SELECT 1 / (count(*) = 2)::int FROM goods_migrations WHERE applied_at <= now()");
}

static void a_failed_migration_leaves_nothing_and_ends_the_run(void **state) {
    static const struct migration broken[] = {{"001_a", "CREATE TABLE broken_a ()"},
                                              {"002_b", "CREATE TABLE broken_b (); SELECT 1 / 0"},
                                              {"003_c", "CREATE TABLE broken_c ()"},
                                              {0}};
    static const struct migration repaired[] = {{"001_a", "CREATE TABLE broken_a ()"},
                                                {"002_b", "CREATE TABLE broken_b ()"},
                                                {"003_c", "CREATE TABLE broken_c ()"},
                                                {0}};
    struct db *db = *state;
    assert_false(migrate_apply(db, "broken", broken));
    assert_runs(db, "SELECT 1 / (to_regclass('broken_a') IS NOT NULL)::int");
    assert_runs(db, "SELECT 1 / (to_regclass('broken_b') IS NULL)::int");
    assert_runs(db, "SELECT 1 / (to_regclass('broken_c') IS NULL)::int");
    assert_false(migrate_is_current(db, "broken", broken));
    assert_true(migrate_apply(db, "broken", repaired));
    assert_true(migrate_is_current(db, "broken", repaired));
}

/* Each sleeps longer than a statement or a lock may take elsewhere. */
static const struct migration slow[] = {
    {"001_slow", "SELECT pg_sleep(0.6); CREATE TABLE slow_a (); SELECT pg_sleep(0.6)"},
    {"002_slow", "CREATE TABLE slow_b ()"},
    {0}};

static void *migrate_slowly(void *applied) {
    struct db_options options = options_of(database);
    options.statement_timeout_ms = 300;
    options.lock_timeout_ms = 200;
    struct db *db = db_open(&options);
    *(bool *)applied = migrate_apply(db, "slow", slow);
    db_close(db);
    return NULL;
}

static void many_replicas_wait_for_a_slow_migration(void **state) {
    pthread_t threads[REPLICAS];
    bool applied[REPLICAS] = {0};
    for (size_t i = 0; i < REPLICAS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_slowly, &applied[i]), 0);
    for (size_t i = 0; i < REPLICAS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < REPLICAS; i++)
        assert_true(applied[i]);
    assert_true(migrate_is_current(*state, "slow", slow));
}

static void no_database_is_a_failure(void **state) {
    (void)state;
    struct db_options options = options_of("there_is_no_such_database");
    struct db *db = db_open(&options);
    assert_false(migrate_apply(db, "slow", slow));
    assert_false(migrate_is_current(db, "slow", slow));
    db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_migration_is_applied_once_in_order, connect_db, disconnect_db),
        cmocka_unit_test_setup_teardown(a_failed_migration_leaves_nothing_and_ends_the_run, connect_db,
                                        disconnect_db),
        cmocka_unit_test_setup_teardown(many_replicas_wait_for_a_slow_migration, connect_db, disconnect_db),
        cmocka_unit_test(no_database_is_a_failure),
    };
    log_setup("test", LOG_INFO, LOG_TEXT);
    return cmocka_run_group_tests(tests, create_database, drop_database);
}
