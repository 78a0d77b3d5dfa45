/* Which deliveries of webhooks are taken next, and what their results change. Against a real PostgreSQL (DB_HOST, DB_PORT,
 * DB_USER, DB_PASSWORD). */
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

enum { PATIENCE_MS = 60000, POLL_MS = 20, LEASE_MS = 60000 };
static const int64_t LATER = 32503680000000; /* in the year 3000 */

static char name[64]; /* of the test's own database */
static const struct uuid first = {{[15] = 1}}, second = {{[15] = 2}};

static void run_script(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static void *write_results(void *cls) {
    struct webhook_shown shown[] = {{.id = second, .unwell = true, .pause_ms = 1000, .since_ms = LATER},
                                    {.id = first, .unwell = true, .pause_ms = 1000, .since_ms = LATER}};
    struct db *db = cls;
    return webhook_send_store_record(db, NULL, 0, shown, 2) == DB_OK ? cls : NULL;
}

static struct db *connect_as(const char *application) {
    struct db_options options = live_db_options();
    options.name = name;
    options.application_name = application;
    options.settings = &webhook_send_store_settings;
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

/* One number of the database. The session keeps the statement under its name. */
static int64_t number(struct db *db, const char *statement, const char *sql) {
    const struct db_query query = {statement, sql};
    struct db_result *result = NULL;
    assert_int_equal(db_run(db, &query, NULL, &result), DB_OK);
    int64_t value = db_int(result, 0, 0);
    db_result_free(result);
    return value;
}

/* Both webhooks, and a delivery of each, as new. */
static struct db *fresh(void) {
    struct db *db = connect_as("test");
    run_script(
        db,
        "DELETE FROM webhook_deliveries;"
        "UPDATE webhooks SET enabled = true, reason = NULL, resumed_at = NULL, doubt = 0, not_before = '-infinity',"
        "                    updated_at = now() - interval '1 hour';"
        "INSERT INTO webhook_deliveries (id, webhook_id, order_id, event_id, type, body, next_at)"
        " SELECT gen_random_uuid(), id, gen_random_uuid(), 'e', 'order.created', '{}', now() FROM webhooks");
    return db;
}

/* Takes at most so many deliveries. out receives the first one; its texts are gone. */
static size_t claim(struct db *db, const struct webhook_receivers *receivers, size_t limit,
                    struct webhook_claimed *out) {
    struct arena arena = {0};
    struct webhook_claimed *claimed;
    size_t count;
    const struct webhook_claim what = {
        .receivers = receivers, .limit = limit, .doubtful = 2, .of_receiver = 3, .lease_ms = LEASE_MS};
    assert_int_equal(webhook_send_store_claim(db, &what, &arena, &claimed, &count), DB_OK);
    if (count)
        *out = claimed[0];
    arena_free(&arena);
    return count;
}

static void an_enabled_webhook_counts_failures_anew(void **state) {
    (void)state;
    struct webhook_receivers none = {.count = 0};
    struct webhook_claimed claimed;
    for (int enabled = 0; enabled < 2; enabled++) {
        struct db *db = fresh();
        run_script(db,
                   "DELETE FROM webhook_deliveries WHERE webhook_id = '00000000-0000-0000-0000-000000000002';"
                   "UPDATE webhook_deliveries SET failures = 2, last_at = now() - interval '1 minute'");
        if (enabled)
            run_script(db, "UPDATE webhooks SET resumed_at = now()");
        assert_int_equal(claim(db, &none, 5, &claimed), 1);
        assert_int_equal(claimed.failures, enabled ? 0 : 2);
        assert_int_equal(number(db, "failures", "SELECT failures FROM webhook_deliveries"), enabled ? 0 : 2);
        db_close(db);
    }
}

static void who_has_requests_on_their_way_comes_later(void **state) {
    (void)state;
    const struct uuid *const busy[] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        struct db *db = fresh();
        struct webhook_receivers receivers = {.count = 0};
        struct webhook_claimed claimed;
        webhook_receivers_begin(&receivers, clock_mono_ms());
        webhook_receivers_find(&receivers, busy[i])->sending = 2;
        assert_int_equal(claim(db, &receivers, 1, &claimed), 1);
        assert_memory_equal(&claimed.webhook_id, busy[1 - i], sizeof first);
        assert_int_equal(claim(db, &receivers, 1, &claimed), 1);
        assert_memory_equal(&claimed.webhook_id, busy[i], sizeof first);
        db_close(db);
    }
}

#define PAUSED "SELECT extract(epoch FROM not_before - now())::bigint FROM webhooks WHERE doubt = 1"

static void later_failures_of_one_moment_show_nothing_new(void **state) {
    (void)state;
    struct db *db = fresh();
    struct webhook_shown shown = {.id = first, .unwell = true, .pause_ms = 3600000, .since_ms = LATER};
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_in_range(number(db, "paused", PAUSED), 3000, 3600);
    shown.pause_ms = 1000;
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_in_range(number(db, "paused", PAUSED), 3000, 3600);
    shown.pause_ms = 7200000;
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_in_range(number(db, "paused", PAUSED), 6600, 7200);
    run_script(db, "UPDATE webhooks SET not_before = now() WHERE doubt = 1");
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_int_equal(number(db, "doubt", "SELECT max(doubt) FROM webhooks"), 2);
    db_close(db);
}

static void what_began_before_a_change_does_not_disable(void **state) {
    (void)state;
    struct db *db = fresh();
    struct webhook_receivers none = {.count = 0};
    struct webhook_claimed claimed;
    assert_int_equal(claim(db, &none, 1, &claimed), 1);
    struct webhook_shown shown = {
        .id = claimed.webhook_id, .unwell = true, .reason = "gone", .since_ms = claimed.claimed_ms};
    run_script(db, "UPDATE webhooks SET updated_at = now() + interval '1 s'");
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_false(shown.disabled);
    assert_int_equal(number(db, "well", "SELECT count(*) FROM webhooks WHERE enabled AND doubt = 0"), 2);
    run_script(db, "UPDATE webhooks SET updated_at = now() - interval '1 hour'");
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_true(shown.disabled);
    assert_int_equal(
        number(db, "disabled", "SELECT count(*) FROM webhooks WHERE NOT enabled AND reason = 'gone'"), 1);
    assert_int_equal(webhook_send_store_record(db, NULL, 0, &shown, 1), DB_OK);
    assert_false(shown.disabled);
    db_close(db);
}

static void only_what_is_still_ours_is_given_back(void **state) {
    (void)state;
    struct db *db = fresh();
    struct webhook_receivers none = {.count = 0};
    struct webhook_claimed claimed;
    assert_int_equal(claim(db, &none, 1, &claimed), 1);
    struct webhook_sent unsent = {.id = claimed.id, .attempts = claimed.attempts};
    run_script(db, "UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE lease_until IS NOT NULL");
    assert_int_equal(webhook_send_store_release(db, &unsent, 1), DB_OK);
    assert_int_equal(
        number(db, "taken", "SELECT count(*) FROM webhook_deliveries WHERE lease_until IS NOT NULL"), 1);
    unsent.attempts++;
    assert_int_equal(webhook_send_store_release(db, &unsent, 1), DB_OK);
    assert_int_equal(
        number(db, "taken", "SELECT count(*) FROM webhook_deliveries WHERE lease_until IS NOT NULL"), 0);
    db_close(db);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receivers_are_locked_in_the_order_of_their_ids),
        cmocka_unit_test(an_enabled_webhook_counts_failures_anew),
        cmocka_unit_test(who_has_requests_on_their_way_comes_later),
        cmocka_unit_test(later_failures_of_one_moment_show_nothing_new),
        cmocka_unit_test(what_began_before_a_change_does_not_disable),
        cmocka_unit_test(only_what_is_still_ours_is_given_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
