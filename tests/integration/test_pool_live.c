/* Connections to a real PostgreSQL that several take turns on. */
#include "live.h"

#include "common/base/clock.h"
#include "common/db/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const struct db_query session = {"session", "SELECT pg_backend_pid()"};
static const struct db_query doze = {"doze", "SELECT pg_sleep(0.02)"};
static const struct db_query fail = {"fail", "SELECT 1 / (pg_backend_pid() - pg_backend_pid())"};

static struct db_pool *pool_of(size_t size) {
    struct db_options options = live_db_options();
    struct db_pool *pool = db_pool_new(&options, "test", size);
    assert_non_null(pool);
    return pool;
}

static struct db *patient_borrower(struct db_pool *pool, enum db_share share, int statement_timeout_ms) {
    struct db_options options = live_db_options();
    options.statement_timeout_ms = statement_timeout_ms;
    options.pool = pool;
    options.share = share;
    struct db *db = db_open(&options);
    assert_non_null(db);
    return db;
}

/* Waits for a connection for little longer than a second. */
static struct db *borrower_for(struct db_pool *pool, enum db_share share) {
    return patient_borrower(pool, share, 100);
}

static struct db *borrower_of(struct db_pool *pool) {
    return borrower_for(pool, DB_PROMPT);
}

/* After a loss there is a pause before the next connection. */
static int64_t session_of(struct db *db) {
    struct db_result *result = NULL;
    int64_t end = clock_mono_ms() + 30000;
    while (db_run(db, &session, NULL, &result) == DB_UNAVAILABLE && clock_mono_ms() < end)
        clock_sleep_ms(10);
    assert_non_null(result);
    int64_t pid = db_int(result, 0, 0);
    db_result_free(result);
    return pid;
}

/* Many threads with one connection: how many are at work at once, and whose sessions they use. */
struct crowd {
    struct db_pool *pool;
    int64_t session;
    atomic_int inside, turns;
    atomic_bool crossed;
};

static enum db_status count_inside(struct db *db, void *arg) {
    struct crowd *crowd = arg;
    if (atomic_fetch_add(&crowd->inside, 1) > 0 || session_of(db) != crowd->session)
        atomic_store(&crowd->crossed, true);
    enum db_status status = db_run(db, &doze, NULL, NULL);
    atomic_fetch_sub(&crowd->inside, 1);
    atomic_fetch_add(&crowd->turns, 1);
    return status;
}

static void *take_turns(void *arg) {
    struct crowd *crowd = arg;
    struct db_options options = live_db_options();
    options.pool = crowd->pool;
    struct db *db = db_open(&options);
    for (int i = 0; db && i < 5; i++)
        if (db_transaction(db, count_inside, crowd) != DB_OK)
            atomic_store(&crowd->crossed, true);
    db_close(db);
    return NULL;
}

static void a_connection_has_one_transaction_at_a_time(void **state) {
    (void)state;
    struct crowd crowd = {.pool = pool_of(1)};
    struct db *db = borrower_of(crowd.pool);
    pthread_t threads[8];
    crowd.session = session_of(db);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &crowd), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_false(crowd.crossed);
    assert_int_equal(crowd.turns, 40);
    assert_int_equal(session_of(db), crowd.session);
    db_close(db);
    db_pool_free(crowd.pool);
}

/* Holds a connection until it is told to go. */
struct holder {
    struct db *db;
    atomic_bool holds, go;
    pthread_t thread;
};

static enum db_status hold(struct db *db, void *arg) {
    struct holder *holder = arg;
    (void)db;
    atomic_store(&holder->holds, true);
    while (!atomic_load(&holder->go))
        clock_sleep_ms(1);
    return DB_OK;
}

static void *hold_connection(void *arg) {
    struct holder *holder = arg;
    assert_int_equal(db_transaction(holder->db, hold, holder), DB_OK);
    return NULL;
}

static void begin_holding(struct holder *holder, struct db *db) {
    *holder = (struct holder){.db = db};
    assert_int_equal(pthread_create(&holder->thread, NULL, hold_connection, holder), 0);
    while (!atomic_load(&holder->holds))
        clock_sleep_ms(1);
}

static void end_holding(struct holder *holder) {
    atomic_store(&holder->go, true);
    pthread_join(holder->thread, NULL);
    db_close(holder->db);
}

static void who_waits_too_long_is_told(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(1);
    struct holder holder;
    struct db *db = borrower_of(pool);
    begin_holding(&holder, borrower_of(pool));
    assert_int_equal(db_run(db, &session, NULL, NULL), DB_UNAVAILABLE);
    assert_string_equal(db_error(db), "all connections of test are busy");
    assert_int_equal(db_transaction(db, hold, &holder), DB_UNAVAILABLE);
    end_holding(&holder);
    (void)session_of(db);
    db_close(db);
    db_pool_free(pool);
}

static void one_who_is_slow_leaves_the_other_connection(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(2);
    struct holder holder;
    begin_holding(&holder, borrower_of(pool));
    struct db *list[] = {borrower_of(pool), borrower_of(pool)};
    assert_int_equal(session_of(list[0]), session_of(list[1]));
    end_holding(&holder);
    assert_int_not_equal(session_of(list[0]), session_of(list[1])); /* each the one that it prefers */
    db_close(list[0]);
    db_close(list[1]);
    db_pool_free(pool);
}

/* Of three connections each kind has one, and those that others leave. */
static void each_kind_has_a_connection(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(3);
    struct holder late, bulk, prompt;
    struct db *late_one = borrower_for(pool, DB_LATE), *bulk_one = borrower_for(pool, DB_BULK),
              *prompt_one = borrower_of(pool);
    begin_holding(&late, borrower_for(pool, DB_LATE));
    assert_int_equal(db_run(late_one, &session, NULL, NULL),
                     DB_UNAVAILABLE); /* two are free, but not for it */
    assert_int_equal(db_run(bulk_one, &session, NULL, NULL), DB_OK);
    begin_holding(&bulk, borrower_for(pool, DB_BULK));
    assert_int_equal(db_run(bulk_one, &session, NULL, NULL), DB_UNAVAILABLE); /* one is free */
    assert_int_equal(db_run(prompt_one, &session, NULL, NULL), DB_OK);
    end_holding(&late);
    begin_holding(&prompt, borrower_for(pool, DB_BULK));
    assert_int_equal(db_run(late_one, &session, NULL, NULL),
                     DB_UNAVAILABLE); /* bulk has both that it may have */
    end_holding(&bulk);
    assert_int_equal(db_run(late_one, &session, NULL, NULL), DB_OK);
    end_holding(&prompt);
    db_close(late_one);
    db_close(bulk_one);
    db_close(prompt_one);
    db_pool_free(pool);
}

static void *run_doze(void *db) {
    return db_run(db, &doze, NULL, NULL) == DB_OK ? db : NULL;
}

/* One that may be late waits in front of one that may not, which goes first. */
static void nobody_waits_behind_one_who_may_be_late(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(2);
    struct holder late, other;
    struct db *late_one = patient_borrower(pool, DB_LATE, 30000),
              *db = patient_borrower(pool, DB_PROMPT, 30000);
    pthread_t threads[2];
    void *done;
    begin_holding(&late, borrower_for(pool, DB_LATE));
    begin_holding(&other, borrower_of(pool));
    assert_int_equal(pthread_create(&threads[0], NULL, run_doze, late_one), 0);
    clock_sleep_ms(50);
    assert_int_equal(pthread_create(&threads[1], NULL, run_doze, db), 0);
    end_holding(&other);
    pthread_join(threads[1], &done);
    assert_ptr_equal(done, db);
    end_holding(&late);
    pthread_join(threads[0], &done);
    assert_ptr_equal(done, late_one);
    db_close(late_one);
    db_close(db);
    db_pool_free(pool);
}

static enum db_status use_borrower(struct db *db, void *arg) {
    (void)db;
    return db_run(arg, &session, NULL, NULL);
}

static void a_transaction_may_use_the_borrower_too(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(1);
    struct db *db = borrower_of(pool);
    assert_int_equal(db_transaction(db, use_borrower, db), DB_OK);
    db_close(db);
    db_pool_free(pool);
}

static enum db_status divide(struct db *db, void *arg) {
    (void)arg;
    return db_run(db, &fail, NULL, NULL);
}

static void each_hears_of_its_own_failures(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(1);
    struct db *db = borrower_of(pool), *other = borrower_of(pool);
    assert_int_equal(db_run(db, &fail, NULL, NULL), DB_REFUSED);
    assert_int_equal(db_transaction(other, divide, NULL), DB_REFUSED);
    (void)session_of(other);
    assert_string_equal(db_error(db), "22012 division by zero");
    db_close(db);
    db_close(other);
    db_pool_free(pool);
}

static void a_new_connection_is_another_generation(void **state) {
    (void)state;
    static const struct db_query end = {"end", "SELECT pg_terminate_backend(pg_backend_pid())"};
    struct db_pool *pool = pool_of(2);
    struct db *list[] = {borrower_of(pool), borrower_of(pool)};
    (void)session_of(list[0]);
    (void)session_of(list[1]);
    unsigned first = db_generation(list[0]);
    assert_int_not_equal(first, db_generation(list[1]));
    assert_int_equal(db_run(list[0], &end, NULL, NULL), DB_UNAVAILABLE);
    (void)session_of(list[0]);
    assert_int_not_equal(db_generation(list[0]), first);
    assert_int_not_equal(db_generation(list[0]), db_generation(list[1]));
    db_close(list[0]);
    db_close(list[1]);
    db_pool_free(pool);
}

static bool is_off(struct db *db) {
    static const struct db_query query = {"is_off", "SELECT current_setting('synchronous_commit') = 'off'"};
    struct db_result *result = NULL;
    assert_int_equal(db_run(db, &query, NULL, &result), DB_OK);
    bool off = db_bool(result, 0, 0);
    db_result_free(result);
    return off;
}

static enum db_status check_off(struct db *db, void *expected) {
    return is_off(db) == *(bool *)expected && is_off(db) == *(bool *)expected ? DB_OK : DB_FAILED;
}

/* Of a statement and of a transaction, also after a failure and when the session has forgotten its statements. */
static void settings_are_those_of_the_borrower(void **state) {
    (void)state;
    static const struct db_query settings = {"settings",
                                             "SELECT set_config('synchronous_commit', 'off', true)"};
    static const struct db_query forget = {"forget", "DEALLOCATE ALL"};
    struct db_pool *pool = pool_of(1);
    struct db_options options = live_db_options();
    options.pool = pool;
    options.settings = &settings;
    struct db *quick = db_open(&options), *plain = borrower_of(pool);
    bool yes = true, no = false;
    for (int i = 0; i < 3; i++) {
        assert_true(is_off(quick));
        assert_false(is_off(plain));
        assert_int_equal(db_transaction(quick, check_off, &yes), DB_OK);
        assert_int_equal(db_transaction(plain, check_off, &no), DB_OK);
        assert_int_equal(db_run(quick, &fail, NULL, NULL), DB_REFUSED);
        assert_int_equal(db_run(plain, &forget, NULL, NULL), DB_OK);
        assert_int_equal(db_transaction(quick, check_off, &yes), DB_OK);
        assert_int_equal(db_run(plain, &forget, NULL, NULL), DB_OK);
    }
    assert_int_equal(db_transaction(quick, divide, NULL), DB_REFUSED);
    assert_false(is_off(plain));
    db_close(quick);
    db_close(plain);
    db_pool_free(pool);
}

static void a_renewed_connection_is_another_one(void **state) {
    (void)state;
    struct db_pool *pool = pool_of(1);
    struct db *db = borrower_of(pool), *other = borrower_of(pool);
    int64_t first = session_of(db);
    assert_int_equal(session_of(other), first);
    db_renew(db);
    assert_int_equal(session_of(other), first); /* until it is used */
    assert_int_not_equal(session_of(db), first);
    assert_int_not_equal(db_generation(db), db_generation(other));
    assert_int_equal(session_of(other), session_of(db));
    db_close(db);
    db_close(other);
    db_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_one_transaction_at_a_time),
        cmocka_unit_test(who_waits_too_long_is_told),
        cmocka_unit_test(one_who_is_slow_leaves_the_other_connection),
        cmocka_unit_test(each_kind_has_a_connection),
        cmocka_unit_test(nobody_waits_behind_one_who_may_be_late),
        cmocka_unit_test(a_transaction_may_use_the_borrower_too),
        cmocka_unit_test(settings_are_those_of_the_borrower),
        cmocka_unit_test(a_renewed_connection_is_another_one),
        cmocka_unit_test(each_hears_of_its_own_failures),
        cmocka_unit_test(a_new_connection_is_another_generation),
    };
    return cmocka_run_group_tests_name("pool_live", tests, NULL, NULL);
}
