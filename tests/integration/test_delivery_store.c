/* The stores of delivery-svc against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD). */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/migrate.h"
#include "delivery/event_store.h"
#include "delivery/repeat_store.h"
#include "delivery/shipment_store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

#define BY_HAND .actor = "test", .request_id = "r"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct shipment_pace at_once = {.simulated = true};
static const struct shipment_pace stillness = {.simulated = false};

struct fixture {
    char name[64]; /* of the database */
    struct db *admin, *db, *other;
};

static struct db_options options_of(const char *database) {
    return (struct db_options){.host = getenv("DB_HOST"),
                               .port = getenv("DB_PORT"),
                               .name = database,
                               .user = getenv("DB_USER"),
                               .password = {.text = getenv("DB_PASSWORD")},
                               .sslmode = "prefer",
                               .application_name = "test_delivery_store",
                               .connect_timeout_ms = 10000,
                               .statement_timeout_ms = 30000,
                               .lock_timeout_ms = 30000};
}

static void script(struct db *db, const char *verb, const char *name) {
    char sql[512];
    snprintf(sql, sizeof sql, "%s %s", verb, name);
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->name, sizeof f->name, "delivery_store_%ld", (long)getpid());
    struct db_options admin = options_of("postgres"), own = options_of(f->name);
    f->admin = db_open(&admin);
    f->db = db_open(&own);
    f->other = db_open(&own);
    script(f->admin, "CREATE DATABASE", f->name);
    *state = f;
    return migrate_apply(f->db, "delivery", migrations) ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    db_close(f->db);
    db_close(f->other);
    script(f->admin, "DROP DATABASE", f->name);
    db_close(f->admin);
    free(f);
    return 0;
}

static struct shipment new_shipment(int64_t next_ms) {
    return (struct shipment){.id = uuid_new(),
                             .order_id = uuid_new(),
                             .customer_id = "c",
                             .correlation_id = "correlation",
                             .traceparent = "trace",
                             .created_ms = 1769847330123,
                             .next_ms = next_ms};
}

static void create(struct db *db, const struct shipment shipments[], size_t n) {
    size_t created;
    assert_int_equal(shipment_store_create(db, shipments, n, &created), DB_OK);
}

/* What a query of one text column says of an order, rows joined by commas; the caller frees it. */
static char *tell(struct db *db, const struct db_query *query, const struct uuid *order_id) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    struct buf text = {0};
    db_uuid_param(&p, order_id);
    if (db_run(db, query, &p, &result) != DB_OK)
        fail_msg("%s: %s", query->name, db_error(db));
    buf_str(&text, "");
    for (size_t i = 0; i < db_rows(result); i++)
        buf_printf(&text, "%s%s", i ? "," : "", db_text(result, i, 0));
    db_result_free(result);
    db_params_free(&p);
    return buf_take(&text);
}

static const struct db_query trail = {
    "trail",
    "SELECT concat_ws('>', previous_status, status) FROM delivery_events WHERE order_id = $1 ORDER BY id"};
static const struct db_query outbox = {
    "outbox", "SELECT concat_ws(' ', payload::json->>'currentStatus', correlation_id, traceparent)"
              " FROM delivery_outbox WHERE group_id = $1 ORDER BY id"};
static const struct db_query state_of = {
    "state_of", "SELECT concat_ws(' ', status, tracking_number, carrier) FROM shipments WHERE order_id = $1"};

static void assert_told(struct db *db, const struct db_query *query, const struct uuid *order_id,
                        const char *expected) {
    char *told = tell(db, query, order_id);
    if (!expected)
        assert_null(told);
    else
        assert_string_equal(told ? told : "", expected);
    free(told);
}

static void an_order_gets_one_shipment(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct shipment batch[3] = {new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME)};
    batch[1].order_id = batch[0].order_id; /* the same order twice in one batch */
    create(db, batch, 3);
    create(db, batch, 3);
    const struct uuid *ids[] = {&batch[2].order_id, &batch[0].order_id, &batch[0].order_id};
    struct shipment_rows rows = {0};
    assert_int_equal(shipment_store_find(db, ids, 3, &rows), DB_OK);
    assert_int_equal(rows.count, 2);
    const struct shipment *first = shipment_rows_find(&rows, &batch[0].order_id);
    assert_non_null(first);
    assert_memory_equal(&first->id, &batch[0].id, sizeof first->id);
    assert_int_equal(first->created_ms, batch[0].created_ms);
    assert_true(first->delivered_ms == DB_NO_TIME && first->next_ms == DB_NO_TIME);
    struct uuid unknown = uuid_new();
    assert_null(shipment_rows_find(&rows, &unknown));
    shipment_rows_free(&rows);
    assert_told(db, &trail, &batch[0].order_id, "PROCESSING");
    assert_told(db, &trail, &batch[2].order_id, "PROCESSING");
}

static void changes_of_a_batch_are_applied_in_order(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct shipment made[] = {new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME)};
    create(db, made, 2);
    struct shipment_change list[] = {
        {.shipment_id = made[0].id, .status = SHIPMENT_SHIPPED, .tracking_number = "T", BY_HAND},
        {.shipment_id = made[1].id, .status = SHIPMENT_DELIVERED, BY_HAND},
        {.shipment_id = made[0].id, .status = SHIPMENT_DELIVERED, .carrier = "C", BY_HAND},
        {.shipment_id = uuid_new(), .status = SHIPMENT_SHIPPED, BY_HAND},
        {.shipment_id = made[1].id, .status = SHIPMENT_PROCESSING, .carrier = "D", BY_HAND},
        {.shipment_id = made[0].id, .status = SHIPMENT_DELIVERED, BY_HAND},
    };
    static const enum shipment_verdict expected[] = {SHIPMENT_MOVED,   SHIPMENT_REFUSED,  SHIPMENT_MOVED,
                                                     SHIPMENT_UNKNOWN, SHIPMENT_DETAILED, SHIPMENT_UNCHANGED};
    struct shipment_change *changes[COUNT(list)];
    for (size_t i = 0; i < COUNT(list); i++)
        changes[i] = &list[i];
    struct shipment_rows rows = {0};
    assert_int_equal(shipment_store_change(db, &stillness, changes, COUNT(list), &rows), DB_OK);
    for (size_t i = 0; i < COUNT(list); i++)
        assert_int_equal(list[i].verdict, expected[i]);
    assert_int_equal(list[0].shipment.status, SHIPMENT_SHIPPED);
    assert_null(list[0].shipment.carrier);
    assert_string_equal(list[5].shipment.carrier, "C");
    shipment_rows_free(&rows);
    assert_told(db, &state_of, &made[0].order_id, "DELIVERED T C");
    assert_told(db, &state_of, &made[1].order_id, "PROCESSING D");
    assert_told(db, &trail, &made[0].order_id, "PROCESSING,PROCESSING>SHIPPED,SHIPPED>DELIVERED");
    assert_told(db, &trail, &made[1].order_id, "PROCESSING,PROCESSING>PROCESSING");
    assert_told(db, &outbox, &made[0].order_id, "SHIPPED correlation trace,DELIVERED correlation trace");
    assert_told(db, &outbox, &made[1].order_id, NULL);
}

static void where_shipments_are_is_told_again(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct shipment made[] = {new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME)};
    create(db, made, 3);
    struct shipment_change list[] = {
        {.shipment_id = made[0].id, .status = SHIPMENT_SHIPPED, BY_HAND},
        {.shipment_id = made[0].id, .status = SHIPMENT_DELIVERED, .tracking_number = "T", BY_HAND},
        {.shipment_id = made[1].id, .status = SHIPMENT_SHIPPED, BY_HAND},
    };
    struct shipment_change *changes[] = {&list[0], &list[1], &list[2]};
    struct shipment_rows rows = {0};
    assert_int_equal(shipment_store_change(db, &stillness, changes, COUNT(list), &rows), DB_OK);
    shipment_rows_free(&rows);
    static const struct db_query forget = {"forget", "DELETE FROM delivery_outbox"};
    static const struct db_query told = {
        "told", "SELECT concat_ws(' ', payload::json->>'previousStatus', payload::json->>'currentStatus',"
                " payload::json->>'trackingNumber', correlation_id, traceparent)"
                " FROM delivery_outbox WHERE group_id = $1 AND event_id::text = payload::json->>'eventId'"};
    assert_int_equal(db_run(db, &forget, NULL, NULL), DB_OK);
    assert_int_equal(repeat_store_updates(db, made, 3), DB_OK);
    assert_told(db, &told, &made[0].order_id, "SHIPPED DELIVERED T correlation trace");
    assert_told(db, &told, &made[1].order_id, "PENDING_SHIPMENT SHIPPED correlation trace");
    assert_told(db, &told, &made[2].order_id, NULL); /* it has not left */
    assert_told(db, &trail, &made[1].order_id, "PROCESSING,PROCESSING>SHIPPED");
}

/* A failover may have lost what the order had heard. */
static void a_correction_of_long_ago_is_repeated_soon_after_a_failover(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    static const struct db_query ship = {
        "ship", "WITH shipped AS (UPDATE shipments SET status = 'SHIPPED', next_transition_at = NULL"
                "                  WHERE order_id = $1 RETURNING order_id)"
                "INSERT INTO delivery_corrections (order_id, corrected_at, quiet_since)"
                " SELECT order_id, now() - interval '3 h', now() - interval '1 h' FROM shipped"};
    struct shipment made = new_shipment(1);
    struct db_params p = {0};
    size_t count;
    create(db, &made, 1);
    db_uuid_param(&p, &made.order_id);
    assert_int_equal(db_run(db, &ship, &p, NULL), DB_OK);
    db_params_free(&p);
    assert_int_equal(repeat_store_follow(db, "a"), DB_OK);
    assert_int_equal(repeat_store_corrections(db, 60000, &count), DB_OK);
    assert_int_equal(repeat_store_corrections(db, 0, &count), DB_OK);
    assert_told(db, &outbox, &made.order_id, "SHIPPED correlation trace");
    script(db, "UPDATE delivery_corrections SET",
           "corrected_at = now() - interval '30 h', quiet_since = now() + interval '10 h'");
    static const struct {
        const char *database, *told;
    } looks[] = {{"a", "SHIPPED correlation trace"},
                 {"b", "SHIPPED correlation trace,SHIPPED correlation trace"},
                 {"b", "SHIPPED correlation trace,SHIPPED correlation trace"}};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        assert_int_equal(repeat_store_follow(db, looks[i].database), DB_OK);
        assert_int_equal(repeat_store_corrections(db, -60000, &count), DB_OK);
        assert_told(db, &outbox, &made.order_id, looks[i].told);
    }
}

static void create_shipped(struct db *db, const struct shipment shipments[], size_t n) {
    create(db, shipments, n);
    script(db, "UPDATE shipments SET status = 'SHIPPED'", "WHERE status = 'PROCESSING'");
}

/* The broker may be behind already. What was lost is of the last moments. */
static void after_a_failover_the_newest_shipments_are_repeated_first_one_by_one(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    static const struct db_query place = {
        "place", "SELECT count(DISTINCT quiet_since)::text FROM delivery_corrections WHERE quiet_since <="
                 " (SELECT quiet_since FROM delivery_corrections WHERE order_id = $1)"};
    struct shipment made[2] = {new_shipment(DB_NO_TIME)};
    clock_sleep_ms(1); /* ids of one moment are in any order */
    made[1] = new_shipment(DB_NO_TIME);
    script(db, "TRUNCATE", "shipments CASCADE");
    assert_int_equal(repeat_store_follow(db, "before"), DB_OK);
    create_shipped(db, made, COUNT(made));
    assert_int_equal(repeat_store_follow(db, "c"), DB_OK);
    assert_told(db, &place, &made[0].order_id, "2");
    assert_told(db, &place, &made[1].order_id, "1");
}

static void *follow(void *db) {
    return repeat_store_follow(db, "d") == DB_OK ? db : NULL;
}

static void a_failover_does_not_deadlock_with_a_correction(void **state) {
    struct fixture *f = *state;
    static const struct db_query waiters = {
        "waiters",
        "SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'delivery_store%' AND wait_event_type = 'Lock'"};
    struct shipment made[] = {new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME)};
    assert_int_equal(repeat_store_follow(f->db, "before"), DB_OK);
    create_shipped(f->db, made, COUNT(made));
    const char correct[] =
        "INSERT INTO delivery_corrections (order_id, quiet_since)"
        " SELECT order_id, now() + interval '1 h' FROM shipments ORDER BY id DESC OFFSET 1 LIMIT 1"
        " ON CONFLICT (order_id) DO UPDATE SET quiet_since = excluded.quiet_since";
    script(f->db, correct, "");
    script(f->other, "BEGIN; SELECT id FROM shipments ORDER BY id DESC LIMIT 2", "FOR UPDATE");
    pthread_t thread;
    void *followed;
    assert_int_equal(pthread_create(&thread, NULL, follow, f->db), 0);
    int64_t end_ms = clock_mono_ms() + 10000;
    for (size_t found = 0; !found; clock_sleep_ms(10)) {
        assert_true(clock_mono_ms() < end_ms);
        struct db_result *result = NULL;
        assert_int_equal(db_run(f->admin, &waiters, NULL, &result), DB_OK);
        found = db_rows(result);
        db_result_free(result);
    }
    script(f->other, correct, "; COMMIT");
    assert_int_equal(pthread_join(thread, &followed), 0);
    assert_non_null(followed);
}

static void a_refused_batch_leaves_nothing(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct shipment made = new_shipment(DB_NO_TIME);
    create(db, &made, 1);
    struct shipment_change nameless = {.shipment_id = made.id, .status = SHIPMENT_SHIPPED, .actor = NULL};
    struct shipment_change *changes[] = {&nameless};
    struct shipment_rows rows = {0};
    assert_int_equal(shipment_store_change(db, &stillness, changes, 1, &rows), DB_REFUSED);
    shipment_rows_free(&rows);
    assert_told(db, &state_of, &made.order_id, "PROCESSING");
    assert_told(db, &trail, &made.order_id, "PROCESSING");
    assert_told(db, &outbox, &made.order_id, NULL);
}

static void the_carrier_takes_what_is_due_to_the_end(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct shipment made[] = {new_shipment(1), new_shipment(DB_NO_TIME)};
    create(db, made, 2);
    size_t count, total = 0;
    struct db_walk walk = {0};
    do {
        assert_int_equal(shipment_store_advance(db, &at_once, &walk, &count), DB_OK);
        total += count;
    } while (count);
    assert_int_equal(total, 3);
    assert_told(db, &trail, &made[0].order_id,
                "PROCESSING,PROCESSING>PROCESSING,PROCESSING>SHIPPED,SHIPPED>DELIVERED");
    assert_told(db, &outbox, &made[0].order_id, "SHIPPED correlation trace,DELIVERED correlation trace");
    assert_told(db, &trail, &made[1].order_id, "PROCESSING");
    int64_t wait_ms;
    assert_int_equal(shipment_store_next_due(db, &walk, 1234, &wait_ms), DB_OK);
    assert_int_equal(wait_ms, 1234);
}

static void the_carrier_leaves_what_another_replica_holds(void **state) {
    struct fixture *f = *state;
    static const struct db_query hold = {"hold", "SELECT id FROM shipments WHERE order_id = $1 FOR UPDATE"};
    struct shipment made[] = {new_shipment(1), new_shipment(1)};
    create(f->db, made, 2);
    struct db_params p = {0};
    db_uuid_param(&p, &made[0].order_id);
    assert_int_equal(db_script(f->other, "BEGIN"), DB_OK);
    assert_int_equal(db_run(f->other, &hold, &p, NULL), DB_OK);
    size_t count;
    struct db_walk walk = {0};
    assert_int_equal(shipment_store_advance(f->db, &stillness, &walk, &count), DB_OK);
    assert_int_equal(count, 1);
    int64_t wait_ms;
    assert_int_equal(shipment_store_next_due(f->db, &walk, 1234, &wait_ms), DB_OK);
    assert_true(wait_ms < 0);
    assert_told(f->db, &trail, &made[0].order_id, "PROCESSING");
    assert_told(f->db, &trail, &made[1].order_id, "PROCESSING,PROCESSING>PROCESSING");
    assert_int_equal(db_script(f->other, "ROLLBACK"), DB_OK);
    db_params_free(&p);
    assert_int_equal(shipment_store_advance(f->db, &stillness, &walk, &count), DB_OK);
    assert_int_equal(count, 1);
}

/* As long as a snapshot is open the server keeps the shipments as they were when they were due. */
static void pages_of_due_shipments_do_not_grow(void **state) {
    struct fixture *f = *state;
    static const char fill[] =
        "INSERT INTO shipments (id, order_id, customer_id, correlation_id, traceparent,"
        "                       created_at, updated_at, next_transition_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 'c', 'c', 't', now(), now(),"
        "        now() - interval '1 year' + n * interval '10 s'"
        "   FROM generate_series(1, 5000) n;"
        "ANALYZE shipments";
    assert_int_equal(db_script(f->db, fill), DB_OK);
    assert_int_equal(
        db_script(f->other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shipments"), DB_OK);
    struct db_walk walk = {0};
    int64_t early = 0, late = 0;
    for (int page = 1; page <= 5000 / SHIPMENT_MAX_DUE; page++) {
        walk.begin_ms = INT64_MAX; /* it does not begin again by itself */
        int64_t before = entries_read(f->db, "shipments");
        size_t count;
        assert_int_equal(shipment_store_advance(f->db, &stillness, &walk, &count), DB_OK);
        assert_int_equal(count, SHIPMENT_MAX_DUE);
        late = entries_read(f->db, "shipments") - before;
        early = page == 2 ? late : early;
    }
    print_message("a page of due shipments: %lld entries of indexes, later %lld\n", (long long)early,
                  (long long)late);
    assert_true(early > 0 && late <= early + 1000); /* of 5000 rows that are gone */
    int64_t before = entries_read(f->db, "shipments"), wait_ms;
    assert_int_equal(shipment_store_next_due(f->db, &walk, 1234, &wait_ms), DB_OK);
    assert_true(entries_read(f->db, "shipments") - before <= early + 1000);
    assert_int_equal(db_script(f->other, "ROLLBACK"), DB_OK);
    assert_int_equal(db_script(f->db, "UPDATE shipments SET next_transition_at = NULL"), DB_OK);
}

/* Such as one that was committed late, or that another replica had locked. */
static void a_shipment_that_the_walk_has_passed_is_found_when_it_begins_again(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    struct db_walk walk = {.begin_ms = INT64_MAX};
    db_walk_to(&walk, 1769847330123);
    struct shipment made = new_shipment(1);
    size_t count;
    create(db, &made, 1);
    assert_int_equal(shipment_store_advance(db, &stillness, &walk, &count), DB_OK);
    assert_int_equal(count, 0);
    walk.begin_ms = 0;
    assert_int_equal(shipment_store_advance(db, &stillness, &walk, &count), DB_OK);
    assert_int_equal(count, 1);
}

static void audit_trails_of_several_orders_are_kept_apart(void **state) {
    struct db *db = ((struct fixture *)*state)->db;
    static const struct db_query flood = {
        "flood", "INSERT INTO delivery_events (shipment_id, order_id, status, description, actor, request_id,"
                 " occurred_at) SELECT id, order_id, status, n::text, '', '', now()"
                 " FROM shipments, generate_series(1, 1500) n WHERE order_id = $1"};
    struct shipment made[] = {new_shipment(DB_NO_TIME), new_shipment(DB_NO_TIME)};
    create(db, made, 2);
    assert_told(db, &flood, &made[1].order_id, NULL);
    const struct uuid *ids[] = {&made[1].order_id, &made[0].order_id, &made[1].order_id};
    struct event_rows rows = {0};
    size_t n;
    assert_int_equal(event_store_find(db, ids, 3, &rows), DB_OK);
    const struct shipment_event *events = event_rows_find(&rows, &made[0].order_id, &n);
    assert_int_equal(n, 1);
    assert_null(events[0].previous_status);
    assert_string_equal(events[0].description, "Shipment created");
    assert_int_equal(events[0].occurred_ms, made[0].created_ms);
    events = event_rows_find(&rows, &made[1].order_id, &n);
    assert_int_equal(n, EVENT_STORE_LIMIT);
    assert_string_equal(events[0].description, "501");
    assert_string_equal(events[n - 1].description, "1500");
    struct uuid unknown = uuid_new();
    assert_null(event_rows_find(&rows, &unknown, &n));
    event_rows_free(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_gets_one_shipment),
        cmocka_unit_test(changes_of_a_batch_are_applied_in_order),
        cmocka_unit_test(where_shipments_are_is_told_again),
        cmocka_unit_test(a_correction_of_long_ago_is_repeated_soon_after_a_failover),
        cmocka_unit_test(after_a_failover_the_newest_shipments_are_repeated_first_one_by_one),
        cmocka_unit_test(a_failover_does_not_deadlock_with_a_correction),
        cmocka_unit_test(a_refused_batch_leaves_nothing),
        cmocka_unit_test(the_carrier_takes_what_is_due_to_the_end),
        cmocka_unit_test(the_carrier_leaves_what_another_replica_holds),
        cmocka_unit_test(pages_of_due_shipments_do_not_grow),
        cmocka_unit_test(a_shipment_that_the_walk_has_passed_is_found_when_it_begins_again),
        cmocka_unit_test(audit_trails_of_several_orders_are_kept_apart),
    };
    log_setup("test", LOG_WARN, LOG_TEXT);
    return cmocka_run_group_tests_name("delivery_store", tests, set_up, tear_down);
}
