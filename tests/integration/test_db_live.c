/* Prepared statements that a real PostgreSQL no longer accepts: they have not run, so they may run again. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct db_query read_goods = {"read_goods", "SELECT * FROM goods"};
static const struct db_query add_goods = {"add_goods", "INSERT INTO goods VALUES (1) RETURNING *"};

static int open_goods(void **state) {
    struct db_options options = live_db_options();
    struct db *db = db_open(&options);
    *state = db;
    return db && db_script(db, "CREATE TEMPORARY TABLE goods (id int)") == DB_OK ? 0 : -1;
}

static int close_goods(void **state) {
    db_close(*state);
    return 0;
}

static void assert_statement_runs(struct db *db, const struct db_query *query) {
    enum db_status status = db_run(db, query, NULL, NULL);
    if (status != DB_OK)
        fail_msg("%s: status %d, %s", query->name, (int)status, db_error(db));
}

/* The session lives on, with what it has: here a temporary table, in a relay its LISTEN. */
static void assert_sql_runs(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static void a_plan_whose_result_changed_is_made_anew(void **state) {
    assert_statement_runs(*state, &read_goods);
    assert_sql_runs(*state, "ALTER TABLE goods ADD name text");
    assert_statement_runs(*state, &read_goods);
    assert_statement_runs(*state, &read_goods);
}

static void a_statement_that_the_server_forgot_is_prepared_anew(void **state) {
    assert_statement_runs(*state, &read_goods);
    assert_sql_runs(*state, "DEALLOCATE ALL");
    assert_statement_runs(*state, &read_goods);
}

static void a_statement_that_somebody_else_prepared_is_replaced(void **state) {
    assert_sql_runs(*state, "PREPARE read_goods AS SELECT 'another'");
    assert_statement_runs(*state, &read_goods);
}

static enum db_status read_only(struct db *db, void *arg) {
    (void)arg;
    return db_run(db, &read_goods, NULL, NULL);
}

static void at_the_start_of_a_transaction_nobody_notices(void **state) {
    assert_statement_runs(*state, &read_goods);
    assert_sql_runs(*state, "ALTER TABLE goods ADD name text");
    assert_int_equal(db_transaction(*state, read_only, NULL), DB_OK);
}

static enum db_status add_and_read(struct db *db, void *arg) {
    (void)arg;
    enum db_status status = db_run(db, &add_goods, NULL, NULL);
    return status == DB_OK ? db_run(db, &read_goods, NULL, NULL) : status;
}

/* What the transaction did is gone, so only its owner may do it again. */
static void later_in_a_transaction_it_is_a_conflict(void **state) {
    struct db *db = *state;
    struct db_result *result = NULL;
    assert_statement_runs(db, &read_goods);
    assert_sql_runs(db, "ALTER TABLE goods ADD name text");
    assert_int_equal(db_transaction(db, add_and_read, NULL), DB_CONFLICT);
    assert_int_equal(db_run(db, &read_goods, NULL, &result), DB_OK);
    assert_int_equal(db_rows(result), 0);
    db_result_free(result);
    assert_int_equal(db_transaction(db, add_and_read, NULL), DB_OK);
}

#define GOODS_TEST(function) cmocka_unit_test_setup_teardown(function, open_goods, close_goods)

int main(void) {
    const struct CMUnitTest tests[] = {
        GOODS_TEST(a_plan_whose_result_changed_is_made_anew),
        GOODS_TEST(a_statement_that_the_server_forgot_is_prepared_anew),
        GOODS_TEST(a_statement_that_somebody_else_prepared_is_replaced),
        GOODS_TEST(at_the_start_of_a_transaction_nobody_notices),
        GOODS_TEST(later_in_a_transaction_it_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
