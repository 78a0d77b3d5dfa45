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

/* Somebody who reads for long: an index that is built concurrently waits for them. */
static struct db *slow_reader(void) {
    struct db_options options = options_of(database);
    options.statement_timeout_ms = 60000; /* nor may it be idle for longer */
    struct db *db = db_open(&options);
    assert_runs(db, "CREATE TABLE IF NOT EXISTS busy (id int); INSERT INTO busy VALUES (1)");
    assert_runs(db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM busy");
    return db;
}

static const struct migration indexes[] = {
    {"001_index",
     MIGRATE_ALONE "CREATE INDEX CONCURRENTLY IF NOT EXISTS busy_idx ON busy (id);\n"
                   "CREATE INDEX CONCURRENTLY IF NOT EXISTS busy_other_idx ON busy ((id + 1));\n"},
    {0}};

static void *migrate_indexes(void *applied) {
    struct db_options options = options_of(database);
    options.statement_timeout_ms = options.lock_timeout_ms = 200; /* none of which counts here */
    struct db *db = db_open(&options);
    *(bool *)applied = migrate_apply(db, "busy", indexes);
    db_close(db);
    return NULL;
}

static void await(struct db *db, const char *sql) {
    for (int i = 0; db_script(db, sql) != DB_OK; i++) {
        assert_in_range(i, 0, 3000);
        usleep(10000);
    }
}

#define UNTIL_IT_WAITS                                                                                       \
    "SELECT 1 / count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()"              \
    " AND phase LIKE 'waiting%'"

static void an_index_is_built_while_others_read_and_write(void **state) {
    bool applied = false;
    pthread_t thread;
    struct db *db = *state, *reader = slow_reader();
    assert_int_equal(pthread_create(&thread, NULL, migrate_indexes, &applied), 0);
    await(db, UNTIL_IT_WAITS);
    assert_runs(db, "INSERT INTO busy VALUES (2); SELECT 1 / count(*) FROM busy");
    usleep(400000); /* longer than its deadlines */
    assert_runs(reader, "COMMIT");
    pthread_join(thread, NULL);
    assert_true(applied);
    assert_true(migrate_is_current(db, "busy", indexes));
    assert_runs(
        db, "SELECT 1 / (count(*) = 2)::int FROM pg_index WHERE indisvalid AND indrelid = 'busy'::regclass");
    db_close(reader);
}

static void an_index_that_was_not_finished_is_built_anew(void **state) {
    bool applied = true;
    pthread_t thread;
    struct db *db = *state;
    assert_runs(db, "DROP INDEX busy_idx, busy_other_idx; TRUNCATE busy_migrations");
    struct db *reader = slow_reader();
    assert_int_equal(pthread_create(&thread, NULL, migrate_indexes, &applied), 0);
    await(db, UNTIL_IT_WAITS);
    assert_runs(
        db,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()");
    pthread_join(thread, NULL);
    assert_false(applied);
    assert_runs(reader, "COMMIT");
    db_close(reader);
    assert_false(migrate_is_current(db, "busy", indexes));
    assert_runs(
        db,
        "SELECT 1 / (count(*) = 1)::int FROM pg_index WHERE NOT indisvalid AND indrelid = 'busy'::regclass");
    assert_true(migrate_apply(db, "busy", indexes));
    assert_runs(
        db, "SELECT 1 / (count(*) = 2)::int FROM pg_index WHERE indisvalid AND indrelid = 'busy'::regclass");
    /* The deadlines of what follows are those of before. */
    assert_runs(db, "SELECT 1 / (current_setting('lock_timeout') = '10s')::int");
}

static const struct migration column[] = {{"001_column", "ALTER TABLE busy ADD COLUMN more int"}, {0}};

static void *migrate_column(void *applied) {
    struct db_options options = options_of(database);
    struct db *db = db_open(&options);
    *(bool *)applied = migrate_apply(db, "column", column);
    db_close(db);
    return NULL;
}

/* Somebody reads for long, such as pg_dump. Others write meanwhile, and wait for less than their deadline. */
static void nobody_waits_behind_a_migration_that_waits(void **state) {
    bool applied = false;
    pthread_t thread;
    struct db *db = *state, *reader = slow_reader();
    assert_int_equal(pthread_create(&thread, NULL, migrate_column, &applied), 0);
    await(db, "SELECT 1 / count(*) FROM pg_stat_activity WHERE datname = current_database()"
              " AND pid <> pg_backend_pid() AND query LIKE '%ADD COLUMN more%'");
    for (int i = 0; i < 30; i++) {
        assert_runs(db, "SET lock_timeout = '2s'; INSERT INTO busy (id) VALUES (3); RESET lock_timeout");
        usleep(20000);
    }
    assert_false(migrate_is_current(db, "column", column));
    assert_runs(reader, "COMMIT");
    pthread_join(thread, NULL);
    assert_true(applied);
    assert_runs(db, "SELECT more FROM busy");
    db_close(reader);
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
        cmocka_unit_test_setup_teardown(an_index_is_built_while_others_read_and_write, connect_db,
                                        disconnect_db),
        cmocka_unit_test_setup_teardown(an_index_that_was_not_finished_is_built_anew, connect_db,
                                        disconnect_db),
        cmocka_unit_test_setup_teardown(nobody_waits_behind_a_migration_that_waits, connect_db,
                                        disconnect_db),
        cmocka_unit_test(no_database_is_a_failure),
    };
    log_setup("test", LOG_INFO, LOG_TEXT);
    return cmocka_run_group_tests(tests, create_database, drop_database);
}
