/* Results of webhooks are written in one order, so that replicas which write those of the same receivers cannot deadlock.
 * Against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD). */
#include "common/base/clock.h"
#include "common/db/migrate.h"
#include "order/webhook_send_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "live.h"

enum { PATIENCE_MS = 60000, POLL_MS = 20 };

static char name[64]; /* of the test's own database */
static const struct uuid first = {{[15] = 1}}, second = {{[15] = 2}};

static void run_script(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static void *write_results(void *cls) {
    const struct webhook_shown shown[] = {{.id = second, .unwell = true, .pause_ms = 1000},
                                          {.id = first, .unwell = true, .pause_ms = 1000}};
    struct db *db = cls;
    bool good =
        webhook_send_store_prepare(db) == DB_OK && webhook_send_store_record(db, NULL, 0, shown, 2) == DB_OK;
    return good ? cls : NULL;
}

static struct db *connect_as(const char *application) {
    struct db_options options = live_db_options();
    options.name = name;
    options.application_name = application;
    return db_open(&options);
}

static bool waits(struct db *db) {
    static const struct db_query query = {
        "waits",
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'results' AND wait_event_type = 'Lock'"};
    struct db_result *result = NULL;
    assert_int_equal(db_run(db, &query, NULL, &result), DB_OK);
    bool found = db_rows(result) > 0;
    db_result_free(result);
    return found;
}

static void receivers_are_locked_in_the_order_of_their_ids(void **state) {
    (void)state;
    pthread_t thread;
    void *written;
    struct db *holder = connect_as("holder"), *looker = connect_as("looker"), *writer = connect_as("results");
    run_script(holder,
               "BEGIN; UPDATE webhooks SET doubt = 0 WHERE id = '00000000-0000-0000-0000-000000000001'");
    assert_int_equal(pthread_create(&thread, NULL, write_results, writer), 0);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; !waits(looker); clock_sleep_ms(POLL_MS))
        assert_true(clock_mono_ms() < end);
    run_script(looker, "BEGIN; SELECT id FROM webhooks WHERE id = '00000000-0000-0000-0000-000000000002'"
                       " FOR UPDATE NOWAIT; ROLLBACK");
    run_script(holder, "COMMIT");
    assert_int_equal(pthread_join(thread, &written), 0);
    assert_non_null(written);
    db_close(writer);
    db_close(looker);
    db_close(holder);
}

static int set_up(void **state) {
    (void)state;
    snprintf(name, sizeof name, "webhook_results_%ld", (long)getpid());
    assert_true(live_database("CREATE DATABASE", name));
    struct db *db = connect_as("set-up");
    if (!migrate_apply(db, "order", migrations))
        return -1;
    run_script(db,
               "INSERT INTO webhooks (id, client_id, url, enabled, secret, from_epoch, from_xid)"
               " SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'c', 'http://r', true, 's', 1, 1"
               "   FROM generate_series(1, 2) n");
    db_close(db);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    assert_true(live_database("DROP DATABASE", name));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(receivers_are_locked_in_the_order_of_their_ids)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
