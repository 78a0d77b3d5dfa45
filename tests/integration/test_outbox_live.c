/* The outbox relay between a real PostgreSQL (DB_*) and a real SQS server (SQS_ENDPOINT). */
#include "live.h"

#include "common/base/clock.h"
#include "common/events/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define PATIENCE_MS 60000
#define MAX_GROUPS 10

struct fixture {
    struct live_queue queue;
    struct queue *reader;
    struct db_options db_options;
    struct db *db;
    char table[64];
    int next[MAX_GROUPS]; /* the message of each group that the reader expects */
};

PRINTF_LIKE(2, 3)
static void script(struct db *db, const char *format, ...) {
    char sql[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

/* The answer of a statement of the test's own, run on a connection of its own: text, "" for none. */
PRINTF_LIKE(3, 4)
static void ask(const struct fixture *f, char answer[static 64], const char *format, ...) {
    char sql[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    const struct db_query query = {"ask", sql};
    struct db_result *result = NULL;
    struct db *db = db_open(&f->db_options);
    if (db_run(db, &query, NULL, &result) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
    snprintf(answer, 64, "%s", db_rows(result) ? db_text(result, 0, 0) : "");
    db_result_free(result);
    db_close(db);
}

static bool answers(const struct fixture *f, const char *sql, const char *expected) {
    char answer[64];
    ask(f, answer, "%s", sql);
    return strcmp(answer, expected) == 0;
}

static void await(const struct fixture *f, const char *sql, const char *expected) {
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; !answers(f, sql, expected); clock_sleep_ms(20))
        if (clock_mono_ms() > end)
            fail_msg("never %s: %s", expected, sql);
}

static void await_rows(const struct fixture *f, const char *expected) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", f->table);
    await(f, sql, expected);
}

/* Waits until the relay of that application name has the lock. */
static void await_active(const struct fixture *f, const char *relay) {
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT string_agg(application_name, ' ') FROM pg_locks JOIN pg_stat_activity USING (pid)"
             " WHERE locktype = 'advisory' AND objid = (hashtext('%s')::bigint & 4294967295)::oid"
             " HAVING count(*) = 1",
             f->table);
    await(f, sql, relay);
}

/* Writes count messages to each of the groups, numbered from first, in the order of their numbers. */
static void write_rows(struct fixture *f, int groups, int first, int count) {
    script(f->db,
           "INSERT INTO %s (event_id, group_id, payload, correlation_id, traceparent)"
           " SELECT gen_random_uuid(), ('00000000-0000-7000-8000-00000000000' || g)::uuid, i, 'c', ''"
           " FROM generate_series(%d, %d) i, generate_series(0, %d) g ORDER BY i",
           f->table, first, first + count - 1, groups - 1);
}

/* A relay with the session of its process. Its name is that of the session. */
struct replica {
    struct db_session *session;
    struct outbox *outbox;
};

/* Its statements go another way than its session does. */
static struct replica start_relay_by(const struct fixture *f, const char *name,
                                     const struct db_options *statements) {
    struct replica relay = {.session = db_session_new()};
    struct db_options session = f->db_options;
    session.application_name = name;
    session.heard = db_session_heard;
    session.heard_cls = relay.session;
    assert_true(db_session_start(relay.session, &session));
    struct outbox_options options = {
        .table = f->table, .db = *statements, .session = relay.session, .queue = f->queue.options};
    options.db.application_name = "statements";
    relay.outbox = outbox_start(&options);
    assert_non_null(relay.outbox);
    return relay;
}

static struct replica start_relay(const struct fixture *f, const char *name) {
    return start_relay_by(f, name, &f->db_options);
}

static void stop_relay_until(const struct replica *relay, int64_t deadline_ms) {
    outbox_stop(relay->outbox, deadline_ms);
    db_session_stop(relay->session);
    db_session_free(relay->session);
}

static void stop_relay(const struct replica *relay) {
    stop_relay_until(relay, clock_mono_ms() + PATIENCE_MS);
}

/* Reads until each of the groups has got to the message before end, and checks their order. */
static void read_messages(struct fixture *f, int groups, int end) {
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    int missing = 0;
    for (int g = 0; g < groups; g++)
        missing += end - f->next[g];
    while (missing > 0) {
        assert_true(clock_mono_ms() < deadline);
        struct queue_batch batch;
        const struct queue_message *done[QUEUE_BATCH];
        assert_int_equal(queue_receive(f->reader, 1, &batch), QUEUE_OK);
        for (size_t i = 0; i < batch.count; i++) {
            const struct queue_message *m = &batch.messages[i];
            int group = m->group_id[UUID_TEXT_SIZE - 2] - '0';
            assert_in_range(group, 0, groups - 1);
            assert_int_equal(atoi(m->body), f->next[group]++);
            assert_string_equal(m->correlation_id, "c");
            done[i] = m;
            missing--;
        }
        assert_int_equal(queue_delete(f->reader, done, batch.count), QUEUE_OK);
        queue_batch_free(&batch);
    }
}

static void the_order_of_a_group_is_kept(void **state) {
    struct fixture *f = *state;
    write_rows(f, 7, 0, 100); /* more than a page */
    struct replica relay = start_relay(f, "relay");
    read_messages(f, 7, 100);
    for (int i = 100; i < 130; i++) {
        write_rows(f, 7, i, 1);
        outbox_wake(relay.outbox);
    }
    read_messages(f, 7, 130);
    await_rows(f, "0");
    stop_relay(&relay);
}

static void what_waits_is_published_before_a_stop(void **state) {
    struct fixture *f = *state;
    struct replica relay = start_relay(f, "relay");
    write_rows(f, 3, 0, 1);
    read_messages(f, 3, 1);   /* it publishes */
    write_rows(f, 3, 1, 100); /* nobody wakes it */
    stop_relay(&relay);
    char rows[64];
    ask(f, rows, "SELECT count(*) FROM %s", f->table);
    assert_string_equal(rows, "0");
    read_messages(f, 3, 101);
}

static void a_relay_stops_though_the_queue_is_away(void **state) {
    struct fixture *f = *state;
    f->queue.options.endpoint = "http://127.0.0.1:9"; /* discard: nobody listens */
    write_rows(f, 2, 0, 1);
    struct replica relay = start_relay(f, "relay");
    await_active(f, "relay");
    stop_relay_until(&relay, clock_mono_ms());
    await_rows(f, "2");
}

/* Dies where a crash hurts most: the messages are in the queue, their rows not yet deleted. */
static void a_crash_between_publish_and_delete_loses_nothing(void **state) {
    struct fixture *f = *state;
    struct db *other = db_open(&f->db_options);
    write_rows(f, 5, 0, 1);
    char lock_sql[128];
    snprintf(lock_sql, sizeof lock_sql, "LOCK TABLE %s IN SHARE MODE", f->table); /* DELETE waits for it */
    const struct db_query lock = {"lock", lock_sql};
    assert_int_equal(db_script(other, "BEGIN"), DB_OK);
    assert_int_equal(db_run(other, &lock, NULL, NULL), DB_OK);
    pid_t child = fork();
    if (child == 0) {
        start_relay(f, "to be killed");
        for (;;)
            pause();
    }
    read_messages(f, 5, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    await(f,
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
          " WHERE application_name IN ('to be killed', 'statements')",
          "0");
    assert_int_equal(db_script(other, "ROLLBACK"), DB_OK);
    db_close(other);
    await_rows(f, "5");

    struct replica relay = start_relay(f, "relay");
    await_rows(f, "0"); /* sent again; this server drops what it has seen within five minutes */
    write_rows(f, 5, 1, 1);
    outbox_wake(relay.outbox);
    read_messages(f, 5, 2);
    stop_relay(&relay);
}

static void one_of_two_relays_is_active(void **state) {
    struct fixture *f = *state;
    char listen_sql[128];
    snprintf(listen_sql, sizeof listen_sql, "LISTEN %s", f->table);
    const struct db_query listen = {"listen", listen_sql};
    int never = eventfd(0, 0);
    struct replica a = start_relay(f, "a");
    await_active(f, "a");
    struct replica b = start_relay(f, "b");
    assert_int_equal(db_run(f->db, &listen, NULL, NULL), DB_OK);
    write_rows(f, 3, 0, 1);
    outbox_wake(b.outbox);
    assert_true(db_wait_notify(f->db, never, PATIENCE_MS)); /* the passive one tells the active one */
    outbox_wake(b.outbox);                                  /* while it rests: it tells that later */
    assert_true(db_wait_notify(f->db, never, PATIENCE_MS));
    for (int i = 1; i < 20; i++) {
        write_rows(f, 3, i, 1);
        outbox_wake(i % 2 ? a.outbox : b.outbox);
    }
    read_messages(f, 3, 20);
    await_active(f, "a");

    stop_relay(&a);
    await_active(f, "b");
    write_rows(f, 3, 20, 5);
    outbox_wake(b.outbox);
    read_messages(f, 3, 25);
    await_rows(f, "0");
    stop_relay(&b);
    close(never);
}

static void a_lost_connection_loses_the_lock_and_gets_it_back(void **state) {
    struct fixture *f = *state;
    struct replica relay = start_relay(f, "relay");
    await_active(f, "relay");
    for (int i = 0; i < 5; i++) {
        char ended[64];
        write_rows(f, 3, i * 100, 100);
        outbox_wake(relay.outbox);
        ask(f, ended,
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'relay'");
        await_active(f, "relay");
    }
    read_messages(f, 3, 500);
    await_rows(f, "0");
    stop_relay(&relay);
}

/* So it is after a failover to a server that lacks the last rows: it gives their ids to others. */
static void a_row_that_took_the_place_of_a_sent_one_is_sent(void **state) {
    struct fixture *f = *state;
    struct db *other = db_open(&f->db_options);
    char change_sql[128];
    snprintf(change_sql, sizeof change_sql, "UPDATE %s SET event_id = gen_random_uuid(), payload = '1'",
             f->table);
    const struct db_query change = {"change", change_sql};
    write_rows(f, 1, 0, 1);
    assert_int_equal(db_script(other, "BEGIN"), DB_OK);
    assert_int_equal(db_run(other, &change, NULL, NULL), DB_OK);
    struct replica relay = start_relay(f, "relay");
    await(f, "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'statements'",
          "transactionid"); /* its DELETE */
    assert_int_equal(db_script(other, "COMMIT"), DB_OK);
    db_close(other);
    read_messages(f, 1, 2);
    await_rows(f, "0");
    stop_relay(&relay);
}

static void a_relay_that_cannot_publish_gives_the_lock_up_whole(void **state) {
    struct fixture *f = *state;
    struct fixture deaf = *f;
    char lock_sql[128];
    snprintf(lock_sql, sizeof lock_sql, "LOCK TABLE %s", f->table);
    const struct db_query lock = {"lock", lock_sql};
    deaf.queue.options.endpoint = "http://127.0.0.1:9";
    deaf.db_options.lock_timeout_ms = 100;
    struct replica a = start_relay(&deaf, "a");
    await_active(f, "a");
    assert_int_equal(db_script(f->db, "BEGIN"), DB_OK);
    assert_int_equal(db_run(f->db, &lock, NULL, NULL), DB_OK);
    for (int i = 0; i < 3; i++) { /* its statements fail, and its session goes on */
        await(f, "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'statements'",
              "Lock");
        await(f, "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'statements'",
              "Client");
    }
    assert_int_equal(db_script(f->db, "ROLLBACK"), DB_OK);
    struct replica b = start_relay(f, "b");
    write_rows(f, 2, 0, 1);
    outbox_wake(a.outbox);
    read_messages(f, 2, 1);
    await_rows(f, "0");
    stop_relay(&a);
    stop_relay(&b);
}

/* Such as one whose pooler is away. */
static void a_relay_that_cannot_read_gives_the_lock_up(void **state) {
    struct fixture *f = *state;
    struct db_options nowhere = f->db_options;
    nowhere.port = "9";
    struct replica a = start_relay_by(f, "a", &nowhere);
    await_active(f, "a");
    struct replica b = start_relay(f, "b");
    write_rows(f, 2, 0, 1);
    read_messages(f, 2, 1);
    await_rows(f, "0");
    stop_relay(&a);
    stop_relay(&b);
}

/* This one a server must refuse for ever: SQS takes no control characters. */
static void a_refused_event_stops_only_its_group(void **state) {
    struct fixture *f = *state;
    script(f->db,
           "INSERT INTO %s (event_id, group_id, payload, correlation_id, traceparent)"
           " VALUES (gen_random_uuid(), gen_random_uuid(), E'\\x01', 'c', '')",
           f->table);
    script(f->db,
           "INSERT INTO %s (event_id, group_id, payload, correlation_id, traceparent)"
           " SELECT gen_random_uuid(), group_id, 'later', 'c', '' FROM %s",
           f->table, f->table);
    write_rows(f, 4, 0, 200);
    struct replica relay = start_relay(f, "relay");
    read_messages(f, 4, 200);
    await_rows(f, "2");
    write_rows(f, 4, 200, 10);
    outbox_wake(relay.outbox);
    read_messages(f, 4, 210);
    await_rows(f, "2");
    stop_relay(&relay);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    live_queue_init(&f->queue, "outbox");
    f->reader = queue_open(&f->queue.options);
    f->db_options = live_db_options();
    f->db = db_open(&f->db_options);
    snprintf(f->table, sizeof f->table, "outbox_live_%ld", (long)getpid());
    script(f->db,
           "DROP TABLE IF EXISTS %s; CREATE TABLE %s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
           " event_id uuid NOT NULL, group_id uuid NOT NULL, payload text NOT NULL,"
           " correlation_id text NOT NULL, traceparent text NOT NULL)",
           f->table, f->table);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    script(f->db, "DROP TABLE %s", f->table);
    db_close(f->db);
    queue_close(f->reader);
    free(f);
    return 0;
}

static int group_setup(void **state) {
    (void)state;
    return queue_global_setup() ? 0 : -1;
}

static int group_teardown(void **state) {
    (void)state;
    queue_global_cleanup();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_order_of_a_group_is_kept),
        TEST(what_waits_is_published_before_a_stop),
        TEST(a_relay_stops_though_the_queue_is_away),
        TEST(a_crash_between_publish_and_delete_loses_nothing),
        TEST(one_of_two_relays_is_active),
        TEST(a_lost_connection_loses_the_lock_and_gets_it_back),
        TEST(a_row_that_took_the_place_of_a_sent_one_is_sent),
        TEST(a_relay_that_cannot_publish_gives_the_lock_up_whole),
        TEST(a_relay_that_cannot_read_gives_the_lock_up),
        TEST(a_refused_event_stops_only_its_group),
    };
    return cmocka_run_group_tests_name("outbox, live", tests, group_setup, group_teardown);
}
