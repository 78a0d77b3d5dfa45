/* What is read along a time costs the same for each page, also while an old snapshot keeps all that was changed: silent
 * orders, and expired idempotency keys. Against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD). */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/migrate.h"
#include "order/expiry_store.h"
#include "order/reconcile_store.h"
#include "order/revocation_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live.h"

enum { ORDERS = 5000, AFTER_MS = 600000, KEYS_AT_A_TIME = 100 };

/* All silent for long, at times of their own. */
static const char fill[] =
    "INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at, quiet_since)"
    " SELECT gen_random_uuid(), 'client', 'customer', 1, t, t, t"
    "   FROM (SELECT now() - interval '1 year' + n * interval '10 s' AS t FROM generate_series(1, 5000) n) times;"
    "INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"
    " SELECT id, 1, 'p', 1, 1 FROM orders;"
    "INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, expires_at)"
    " SELECT 'client', id::text, '\\x00', id, quiet_since FROM orders;"
    "INSERT INTO revoked_tokens (token_id, expires_at, revoked_at, quiet_since)"
    " SELECT id, now() + interval '1 day', quiet_since, quiet_since FROM orders;"
    "ANALYZE";

struct fixture {
    char name[64]; /* of the database */
    struct db *admin, *db, *other;
};

static void script(struct db *db, const char *verb, const char *name) {
    char sql[256];
    snprintf(sql, sizeof sql, "%s %s", verb, name);
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
}

static int set_up(void **state) {
    static struct fixture f;
    snprintf(f.name, sizeof f.name, "order_walk_%ld", (long)getpid());
    struct db_options admin = live_db_options(), own = live_db_options();
    admin.name = "postgres";
    own.name = f.name;
    f.admin = db_open(&admin);
    f.db = db_open(&own);
    f.other = db_open(&own);
    script(f.admin, "CREATE DATABASE", f.name);
    *state = &f;
    if (!migrate_apply(f.db, "order", migrations))
        return -1;
    if (db_script(f.db, fill) != DB_OK)
        fail_msg("fill: %s", db_error(f.db));
    script(f.other, "BEGIN ISOLATION LEVEL REPEATABLE READ;", "SELECT count(*) FROM orders");
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    db_close(f->db);
    db_close(f->other);
    script(f->admin, "DROP DATABASE", f->name);
    db_close(f->admin);
    return 0;
}

static void assert_flat(const char *what, int64_t early, int64_t late) {
    print_message("%s: %lld entries of indexes, later %lld\n", what, (long long)early, (long long)late);
    assert_true(early > 0 && late <= early + 1000); /* of 5000 rows that are gone */
}

static void pages_of_silent_orders_do_not_grow(void **state) {
    struct fixture *f = *state;
    struct db_walk walk = {.begin_ms = INT64_MAX};
    struct reconcile_walks look = {{.begin_ms = INT64_MAX}, {.begin_ms = INT64_MAX}};
    int64_t early = 0, late = 0, early_look = 0, late_look = 0;
    for (int page = 1; page <= ORDERS / RECONCILE_LIMIT; page++) {
        struct reconcile_sight sight;
        int64_t before = entries_read(f->db, "orders");
        assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
        assert_true(sight.on_their_way);
        int64_t looked = entries_read(f->db, "orders");
        late_look = looked - before;
        struct reconcile_span span = {.at_least_ms = AFTER_MS,
                                      .at_most_ms = INT64_C(3155760000000),
                                      .before_ms = sight.now_ms,
                                      .now_ms = sight.now_ms,
                                      .walk = &walk};
        size_t announced;
        assert_int_equal(reconcile_store_announce(f->db, &span, AFTER_MS, &announced), DB_OK);
        assert_int_equal(announced, RECONCILE_LIMIT);
        late = entries_read(f->db, "orders") - looked;
        early = page == 2 ? late : early;
        early_look = page == 2 ? late_look : early_look;
    }
    assert_flat("a page of silent orders", early, late);
    assert_flat("whether there are any", early_look, late_look);
}

/* The relay takes them out as fast as others come in. */
static void the_oldest_event_that_waits_is_found_at_once(void **state) {
    struct fixture *f = *state;
    static const struct db_query take = {
        "take", "DELETE FROM order_outbox WHERE id IN (SELECT id FROM order_outbox ORDER BY id LIMIT 100)"};
    struct reconcile_walks look = {{.begin_ms = INT64_MAX}, {.begin_ms = INT64_MAX}};
    struct reconcile_sight sight;
    int64_t early = 0, late = 0, oldest_ms = 0;
    assert_int_equal(db_script(f->db, "DELETE FROM order_outbox;"
                                      "INSERT INTO order_outbox (event_id, group_id, payload, correlation_id,"
                                      "                          traceparent, created_at)"
                                      " SELECT gen_random_uuid(), gen_random_uuid(), '{}', 'c', 't',"
                                      "        now() - interval '1 day' + n * interval '1 s'"
                                      "   FROM generate_series(1, 5000) n"),
                     DB_OK);
    for (int page = 1; page < 5000 / 100; page++) {
        int64_t before = entries_read(f->db, "order_outbox");
        assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
        late = entries_read(f->db, "order_outbox") - before;
        early = page == 25 ? late : early; /* the last ids are always read again */
        assert_true(sight.published_ms > oldest_ms && sight.published_ms < sight.now_ms - AFTER_MS);
        oldest_ms = sight.published_ms;
        assert_int_equal(db_run(f->db, &take, NULL, NULL), DB_OK);
    }
    assert_flat("the oldest event", early, late);
    assert_int_equal(db_script(f->db, "DELETE FROM order_outbox"), DB_OK);
    assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
    assert_true(sight.published_ms == sight.now_ms);
    look.waiting.begin_ms = 0; /* it begins again, and finds nothing */
    assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
    int64_t before = entries_read(f->db, "order_outbox");
    assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
    assert_flat("that there is none", early, entries_read(f->db, "order_outbox") - before);
}

static void pages_of_expired_keys_do_not_grow(void **state) {
    struct fixture *f = *state;
    struct db_walk walk = {.begin_ms = INT64_MAX};
    int64_t early = 0, late = 0;
    for (int page = 1; page <= ORDERS / KEYS_AT_A_TIME; page++) {
        size_t deleted;
        int64_t before = entries_read(f->db, "idempotency_keys");
        assert_int_equal(expiry_store_delete(f->db, &walk, KEYS_AT_A_TIME, &deleted), DB_OK);
        assert_int_equal(deleted, KEYS_AT_A_TIME);
        late = entries_read(f->db, "idempotency_keys") - before;
        early = page == 2 ? late : early;
    }
    assert_flat("a page of expired keys", early, late);
}

static void pages_of_silent_revocations_do_not_grow(void **state) {
    struct fixture *f = *state;
    struct db_walk walks[2] = {{.begin_ms = INT64_MAX}, {.begin_ms = INT64_MAX}};
    int64_t early = 0, late = 0;
    for (int page = 1; page <= ORDERS / REVOCATION_REPEAT_LIMIT; page++) {
        size_t count;
        int64_t before = entries_read(f->db, "revoked_tokens");
        assert_int_equal(revocation_store_repeat(f->db, AFTER_MS, walks, &count), DB_OK);
        assert_int_equal(count, REVOCATION_REPEAT_LIMIT);
        late = entries_read(f->db, "revoked_tokens") - before;
        early = page == 2 ? late : early;
    }
    assert_flat("a page of silent revocations", early, late);
}

static void an_order_that_the_walk_has_passed_is_found_when_it_begins_again(void **state) {
    struct fixture *f = *state;
    struct reconcile_walks look = {{.begin_ms = INT64_MAX}, {.begin_ms = INT64_MAX}};
    struct reconcile_sight sight;
    assert_int_equal(db_script(f->db, "UPDATE orders SET status = 'DELIVERED'"), DB_OK);
    assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
    assert_false(sight.on_their_way);
    assert_int_equal(db_script(f->db,
                               "UPDATE orders SET status = 'SHIPPED', quiet_since = now() - interval '1 day'"
                               " WHERE id = (SELECT id FROM orders LIMIT 1)"),
                     DB_OK);
    look.on_their_way.begin_ms = 0;
    assert_int_equal(reconcile_store_look(f->db, &look, &sight), DB_OK);
    assert_true(sight.on_their_way);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_silent_orders_do_not_grow),
        cmocka_unit_test(the_oldest_event_that_waits_is_found_at_once),
        cmocka_unit_test(pages_of_expired_keys_do_not_grow),
        cmocka_unit_test(pages_of_silent_revocations_do_not_grow),
        cmocka_unit_test(an_order_that_the_walk_has_passed_is_found_when_it_begins_again),
    };
    log_setup("test", LOG_WARN, LOG_TEXT);
    return cmocka_run_group_tests_name("order_walk", tests, set_up, tear_down);
}
