/* The session of a process on a real PostgreSQL: who leads, who hears. */
#include "live.h"

#include "common/base/clock.h"
#include "common/db/pool.h"
#include "common/db/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PATIENCE_MS 30000
#define CHANNEL "session_live"

static const struct db_query notify = {"notify", "SELECT pg_notify('" CHANNEL "', '')"};

struct replica {
    struct db_session *session;
    struct db_watch *watch;
    atomic_int wakes;
};

static void count_wake(void *cls) {
    struct replica *replica = cls;
    atomic_fetch_add(&replica->wakes, 1);
}

static void start_on(struct replica *replica, const struct db_options *options, bool leads) {
    assert_true(db_session_start(replica->session, options));
    replica->watch =
        db_session_watch(replica->session, &(struct db_watch_options){CHANNEL, leads, count_wake, replica});
    assert_non_null(replica->watch);
}

static struct db_options heard_by(const struct replica *replica, const char *name) {
    struct db_options options = live_db_options();
    options.application_name = name;
    options.heard = db_session_heard;
    options.heard_cls = replica->session;
    return options;
}

static void start(struct replica *replica, const char *name, bool leads) {
    *replica = (struct replica){.session = db_session_new()};
    struct db_options options = heard_by(replica, name);
    start_on(replica, &options, leads);
}

static void stop(struct replica *replica) {
    db_watch_end(replica->watch);
    db_session_stop(replica->session);
    db_session_free(replica->session);
}

static void await_leader(const struct replica *replica, bool leads) {
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; db_watch_leads(replica->watch) != leads;
         clock_sleep_ms(5))
        assert_true(clock_mono_ms() < end);
}

static void await_wakes(struct replica *replica, int count) {
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; atomic_load(&replica->wakes) < count; clock_sleep_ms(1))
        if (clock_mono_ms() > end)
            fail_msg("%d wakes instead of %d", atomic_load(&replica->wakes), count);
}

static void run(struct db *db, const struct db_query *query) {
    if (db_run(db, query, NULL, NULL) != DB_OK)
        fail_msg("%s", db_error(db));
}

static void one_leads_and_it_hears(void **state) {
    (void)state;
    struct db_options options = live_db_options();
    struct db *db = db_open(&options);
    struct replica a, b, listener;
    start(&a, "session_a", true);
    await_leader(&a, true);
    start(&b, "session_b", true);
    start(&listener, "listener", false);
    await_wakes(&a, 1); /* it leads */
    await_wakes(&listener, 1);
    run(db, &notify);
    await_wakes(&a, 2);
    await_wakes(&listener, 2);
    assert_false(db_watch_leads(b.watch));
    assert_int_equal(atomic_load(&b.wakes), 0);

    stop(&a);
    await_leader(&b, true);
    await_wakes(&b, 1);
    run(db, &notify);
    await_wakes(&b, 2);
    stop(&b);
    stop(&listener);
    db_close(db);
}

static void who_yields_leads_again_when_nobody_else_wants_to(void **state) {
    (void)state;
    struct replica a, b;
    start(&a, "session_a", true);
    await_leader(&a, true);
    start(&b, "session_b", true);
    db_watch_yield(a.watch, 2 * PATIENCE_MS);
    assert_false(db_watch_leads(a.watch));
    await_leader(&b, true);
    db_watch_yield(b.watch, 10);
    await_leader(&b, true);
    assert_false(db_watch_leads(a.watch));
    stop(&b);
    stop(&a);
}

static void a_session_that_ends_leads_no_more(void **state) {
    (void)state;
    static const struct db_query end = {
        "end",
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name IN ('session_a', 'session_b')"};
    struct db_options options = live_db_options();
    struct db *db = db_open(&options);
    struct replica a, b;
    start(&a, "session_a", true);
    await_leader(&a, true);
    start(&b, "session_b", true);
    for (int i = 1; i <= 3; i++) {
        int wakes = atomic_load(&a.wakes) + atomic_load(&b.wakes);
        run(db, &end);
        for (int64_t until = clock_mono_ms() + PATIENCE_MS;
             atomic_load(&a.wakes) + atomic_load(&b.wakes) == wakes && clock_mono_ms() < until;)
            clock_sleep_ms(5);
        assert_true(atomic_load(&a.wakes) + atomic_load(&b.wakes) > wakes); /* one of them leads anew */
    }
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; db_watch_leads(a.watch) == db_watch_leads(b.watch);
         clock_sleep_ms(5))
        assert_true(clock_mono_ms() < until);
    stop(&a);
    stop(&b);
    db_close(db);
}

/* Without other statements: those that look, once a second, would tell of one notification each. */
static void it_hears_between_its_looks(void **state) {
    (void)state;
    struct db_options options = live_db_options();
    struct db *db = db_open(&options);
    struct replica replica;
    start(&replica, "session_a", false);
    await_wakes(&replica, 1);
    int64_t end = clock_mono_ms() + 3 * PATIENCE_MS; /* by looks only it takes longer than that twice */
    for (int i = 2; i < 200; i++) {
        run(db, &notify);
        await_wakes(&replica, i);
    }
    assert_true(clock_mono_ms() < end);
    stop(&replica);
    db_close(db);
}

/* Statements of another borrower of the connection, one after the other. */
struct neighbour {
    struct db *db;
    atomic_bool ends;
};

static void *ask_again_and_again(void *cls) {
    static const struct db_query ask = {"ask", "SELECT pg_sleep(0.001)"};
    struct neighbour *neighbour = cls;
    while (!atomic_load(&neighbour->ends))
        if (db_run(neighbour->db, &ask, NULL, NULL) != DB_OK)
            return NULL;
    return cls;
}

static void others_that_use_the_connection_swallow_no_notification(void **state) {
    (void)state;
    struct replica replica = {.session = db_session_new()};
    struct db_options options = heard_by(&replica, "pool"), own = live_db_options();
    struct db_pool *pool = db_pool_new(&options, "session", 1);
    options.pool = pool;
    struct neighbour neighbour = {.db = db_open(&options)};
    struct db *db = db_open(&own);
    pthread_t thread;
    void *done;
    start_on(&replica, &options, false);
    await_wakes(&replica, 1);
    assert_int_equal(pthread_create(&thread, NULL, ask_again_and_again, &neighbour), 0);
    for (int i = 2; i < 500; i++) {
        run(db, &notify);
        await_wakes(&replica, i);
    }
    atomic_store(&neighbour.ends, true);
    pthread_join(thread, &done);
    assert_ptr_equal(done, &neighbour);
    db_watch_end(replica.watch);
    db_session_stop(replica.session);
    db_close(neighbour.db);
    db_pool_free(pool);
    db_session_free(replica.session);
    db_close(db);
}

static enum db_status hold(struct db *db, void *watch) {
    (void)db;
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; db_watch_leads(watch); clock_sleep_ms(50))
        if (clock_mono_ms() > end)
            return DB_FAILED;
    return DB_OK;
}

/* As when the process was frozen. Somebody else has the connection meanwhile, so the session cannot ask. */
static void who_cannot_ask_for_long_believes_no_more_that_it_leads(void **state) {
    (void)state;
    struct replica replica = {.session = db_session_new()};
    struct db_options options = heard_by(&replica, "pool");
    options.statement_timeout_ms = PATIENCE_MS;
    struct db_pool *pool = db_pool_new(&options, "session", 1);
    options.pool = pool;
    struct db *db = db_open(&options);
    start_on(&replica, &options, true);
    await_leader(&replica, true);
    assert_int_equal(db_transaction(db, hold, replica.watch), DB_OK);
    await_leader(&replica, true);
    db_watch_end(replica.watch);
    db_session_stop(replica.session);
    db_close(db);
    db_pool_free(pool);
    db_session_free(replica.session);
}

static void run_all(struct db *db, const char *script) {
    if (db_script(db, script) != DB_OK)
        fail_msg("%s", db_error(db));
}

static void await_looks(struct db *db, int64_t count) {
    static const struct db_query query = {"looks", "SELECT last_value FROM session_live.looks"};
    int64_t seen = 0;
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; seen < count; clock_sleep_ms(20)) {
        struct db_result *result = NULL;
        assert_int_equal(db_run(db, &query, NULL, &result), DB_OK);
        seen = db_int(result, 0, 0);
        db_result_free(result);
        if (clock_mono_ms() > end)
            fail_msg("%d looks instead of %d", (int)seen, (int)count);
    }
}

/* The session is led to a set_config that takes longer than a statement may. */
static void a_look_that_takes_too_long_ends_no_session(void **state) {
    (void)state;
    static const struct db_query slow = {"slow", "SET search_path = session_live, pg_catalog"},
                                 fast = {"fast", "SET search_path = pg_catalog"};
    struct replica replica = {.session = db_session_new()};
    struct db_options options = heard_by(&replica, "pool"), own = live_db_options();
    options.statement_timeout_ms = 300;
    struct db_pool *pool = db_pool_new(&options, "session", 1);
    options.pool = pool;
    struct db *neighbour = db_open(&options), *db = db_open(&own);
    run_all(db, "DROP SCHEMA IF EXISTS session_live CASCADE; CREATE SCHEMA session_live;"
                "CREATE SEQUENCE session_live.looks;"
                "CREATE FUNCTION session_live.set_config(text, text, boolean) RETURNS void LANGUAGE sql"
                " AS $$ SELECT nextval('session_live.looks'); SELECT pg_sleep(60) $$;");
    start_on(&replica, &options, true);
    await_leader(&replica, true);
    run(neighbour, &slow);
    unsigned generation = db_generation(neighbour);
    await_looks(db, 3); /* all of them in the same session */
    assert_true(db_watch_leads(replica.watch));
    run(neighbour, &fast);
    assert_int_equal(db_generation(neighbour), generation);
    db_watch_end(replica.watch);
    db_session_stop(replica.session);
    db_close(neighbour);
    db_pool_free(pool);
    db_session_free(replica.session);
    run_all(db, "DROP SCHEMA session_live CASCADE");
    db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_leads_and_it_hears),
        cmocka_unit_test(it_hears_between_its_looks),
        cmocka_unit_test(who_yields_leads_again_when_nobody_else_wants_to),
        cmocka_unit_test(a_session_that_ends_leads_no_more),
        cmocka_unit_test(others_that_use_the_connection_swallow_no_notification),
        cmocka_unit_test(who_cannot_ask_for_long_believes_no_more_that_it_leads),
        cmocka_unit_test(a_look_that_takes_too_long_ends_no_session),
    };
    return cmocka_run_group_tests_name("session, live", tests, NULL, NULL);
}
