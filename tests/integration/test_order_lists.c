/* Lists of orders touch about as many rows as they show, also when everything that was asked for is old and everything new
 * is somebody else's. Against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD). */
#include "common/db/migrate.h"
#include "order/order_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fakes/rows.h"
#include "live.h"

enum {
    SHOWN = 20,
    SHOPS = 40,
    OPEN = 100, /* orders that are not delivered */
    RUNS = 12,  /* after five runs PostgreSQL may use a generic plan */
};

/* 15 % of the orders are the oldest, of a client that was quiet since, and of one customer. A busy client has the
 * rest. The newest are not delivered. */
static const char fill[] =
    "INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at, reference)"
    " SELECT (lpad(to_hex(n * 100000), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid,"
    "        CASE WHEN n <= 3000 THEN 'old' ELSE 'busy' END,"
    "        CASE WHEN n <= 3000 THEN 'customer-old' ELSE 'customer-' || n % 3 END,"
    "        CASE WHEN n > 19900 THEN 'PENDING_SHIPMENT' ELSE 'DELIVERED' END, 1,"
    "        CASE WHEN n > 19900 THEN 1 ELSE 3 END, to_timestamp(n * 100), to_timestamp(n * 100),"
    "        CASE WHEN n % 2 = 0 THEN 'R-' || n END"
    "   FROM generate_series(1, 20000) n;"
    "INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"
    " SELECT id, 1, 'p', 1, 1 FROM orders;"
    "ANALYZE";

/* Forty shops have 50 orders each of a guest. */
static const char guests[] =
    "INSERT INTO orders (id, client_id, customer_id, status, total_amount, version, created_at, updated_at)"
    " SELECT (lpad(to_hex(n * 100000 + 50000), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid,"
    "        'shop-' || n % 40, 'guest', 'DELIVERED', 1, 3, to_timestamp(n * 100), to_timestamp(n * 100)"
    "   FROM generate_series(7001, 9000) n;"
    "INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"
    " SELECT id, 1, 'p', 1, 1 FROM orders WHERE customer_id = 'guest';"
    "ANALYZE";

/* The rows of orders that the connection has touched. The statistics forget them now and then, but not during a
 * transaction. */
static const struct db_query touched_query = {"touched",
                                              "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint"
                                              "  FROM pg_stat_xact_user_tables WHERE relname = 'orders'"};

struct listing {
    struct order_page page;
    bool by_change;
    size_t count;
    int64_t touched;
};

static int64_t touched(struct db *db) {
    struct db_result *result = NULL;
    assert_int_equal(db_run(db, &touched_query, NULL, &result), DB_OK);
    int64_t rows = db_int(result, 0, 0);
    db_result_free(result);
    return rows;
}

static enum db_status list(struct db *db, void *arg) {
    struct listing *l = arg;
    struct arena arena = {0};
    struct order *orders;
    int64_t before = touched(db);
    enum db_status status = order_store_list(db, &l->page, &arena, &orders, &l->count);
    l->touched = touched(db) - before;
    for (size_t i = 1; status == DB_OK && i < l->count; i++)
        assert_true(l->by_change ? orders[i].updated_ms >= orders[i - 1].updated_ms
                                 : uuid_compare(&orders[i].id, &orders[i - 1].id) < 0);
    bool over = false;
    size_t fetched = status == DB_OK ? l->count : 0;
    l->count = 0;
    for (size_t i = 0; i < fetched && !over; i++)
        l->count += order_page_has(&l->page, &orders[i], &over);
    arena_free(&arena);
    return status;
}

static const enum order_status pending = ORDER_PENDING_SHIPMENT, delivered = ORDER_DELIVERED;

static const struct {
    const char *name, *client, *customer;
    const enum order_status *status;
    size_t count;  /* how many orders are found */
    int64_t extra; /* rows that may be touched in vain */
} cases[] = {
    {"all", NULL, NULL, NULL, SHOWN, 0},
    {"client", "old", NULL, NULL, SHOWN, 0},
    {"nobody", "nobody", NULL, NULL, 0, 0},
    {"customer", NULL, "customer-old", NULL, SHOWN, SHOWN},
    {"no customer", NULL, "nobody", NULL, 0, 10},
    {"client and customer", "old", "customer-old", NULL, SHOWN, 0},
    {"pending", NULL, NULL, &pending, SHOWN, 0},
    {"delivered", NULL, NULL, &delivered, SHOWN, OPEN},
    {"pending of client", "old", NULL, &pending, 0, OPEN},
    {"pending of busy client", "busy", NULL, &pending, SHOWN, 0},
    {"delivered of client", "old", NULL, &delivered, SHOWN, 0},
    {"delivered of busy client", "busy", NULL, &delivered, SHOWN, OPEN},
    {"delivered of customer", NULL, "customer-old", &delivered, SHOWN, SHOWN},
    {"delivered of client and customer", "old", "customer-old", &delivered, SHOWN, 0},
    {"pending of customer", NULL, "customer-1", &pending, SHOWN, 2 * OPEN},
    {"pending of client and customer", "busy", "customer-1", &pending, SHOWN, OPEN},
};

static void a_list_touches_what_it_shows(void **state) {
    struct db *db = *state;
    for_each_row(i, cases, "%s", cases[i].name) {
        for (int run = 0; run < RUNS; run++) {
            struct listing l = {.page = {.client_id = cases[i].client,
                                         .customer_id = cases[i].customer,
                                         .status = cases[i].status,
                                         .limit = SHOWN}};
            assert_int_equal(db_transaction(db, list, &l), DB_OK);
            assert_int_equal(l.count, cases[i].count);
            assert_in_range(l.touched, cases[i].count, 2 * cases[i].count + (size_t)cases[i].extra + 10);
        }
    }
}

#define AT(n) (INT64_C(100000) * (n)) /* when the nth order was made, and changed last */

static const struct {
    const char *name, *client, *customer, *reference;
    const enum order_status *status;
    int64_t after, before, since; /* -1: not asked for */
    size_t count;
    int64_t extra;
} filters[] = {
    {"after", NULL, NULL, NULL, NULL, AT(19990), -1, -1, 10, SHOWN},
    {"before", NULL, NULL, NULL, NULL, -1, AT(100) - 50000, -1, SHOWN, SHOWN},
    {"between", NULL, NULL, NULL, NULL, AT(5000), AT(5006), -1, 5, SHOWN},
    {"client, between", "old", NULL, NULL, NULL, AT(1000), AT(1006), -1, 5, SHOWN},
    {"busy client, between", "busy", NULL, NULL, NULL, AT(9000), AT(9006), -1, 5, SHOWN},
    {"busy client, when it was quiet", "busy", NULL, NULL, NULL, AT(1), AT(2900), -1, 0, SHOWN},
    {"client, since", "old", NULL, NULL, NULL, AT(2995), -1, -1, 5, SHOWN},
    {"client, long after", "old", NULL, NULL, NULL, AT(5000), -1, -1, 0, SHOWN},
    {"customer, between", NULL, "customer-old", NULL, NULL, AT(1000), AT(1006), -1, 5, 2 * SHOWN},
    {"client and customer, between", "old", "customer-old", NULL, NULL, AT(1000), AT(1006), -1, 5, SHOWN},
    {"pending, after", NULL, NULL, NULL, &pending, AT(1), -1, -1, SHOWN, SHOWN},
    {"pending, before", NULL, NULL, NULL, &pending, -1, AT(19000), -1, 0, SHOWN},
    {"pending of client, after", "old", NULL, NULL, &pending, AT(1), -1, -1, 0, OPEN},
    {"delivered, between", NULL, NULL, NULL, &delivered, AT(5000), AT(5006), -1, 5, SHOWN},
    {"reference", NULL, NULL, "R-5000", NULL, -1, -1, -1, 1, 0},
    {"reference of client", "old", NULL, "R-100", NULL, -1, -1, -1, 1, 0},
    {"reference of another client", "old", NULL, "R-5000", NULL, -1, -1, -1, 0, 0},
    {"no reference", "busy", NULL, "R-5001", NULL, -1, -1, -1, 0, 0},
    {"reference, changed", NULL, NULL, "R-5000", NULL, -1, -1, AT(5000), 1, 0},
    {"reference, changed before", NULL, NULL, "R-5000", NULL, -1, -1, AT(5001), 0, 0},
    {"changed", NULL, NULL, NULL, NULL, -1, -1, AT(10000), SHOWN, SHOWN},
    {"changed lately", NULL, NULL, NULL, NULL, -1, -1, AT(19995), 6, 0},
    {"changed, of client", "old", NULL, NULL, NULL, -1, -1, AT(2996), 5, OPEN},
    {"changed, of quiet client", "old", NULL, NULL, NULL, -1, -1, AT(3001), 0, OPEN},
    {"changed, of busy client", "busy", NULL, NULL, NULL, -1, -1, AT(2), SHOWN, SHOWN},
    {"changed to delivered, of quiet client", "old", NULL, NULL, &delivered, -1, -1, AT(3001), 0, 0},
    {"changed to pending", NULL, NULL, NULL, &pending, -1, -1, AT(19890), SHOWN, SHOWN},
};

static void a_filter_touches_what_it_shows(void **state) {
    struct db *db = *state;
    for_each_row(i, filters, "%s", filters[i].name) {
        const struct order_change since = {.ms = filters[i].since};
        for (int run = 0; run < RUNS; run++) {
            struct listing l = {.page = {.client_id = filters[i].client,
                                         .customer_id = filters[i].customer,
                                         .reference = filters[i].reference,
                                         .status = filters[i].status,
                                         .created_after = filters[i].after < 0 ? NULL : &filters[i].after,
                                         .created_before = filters[i].before < 0 ? NULL : &filters[i].before,
                                         .changed_after = filters[i].since < 0 ? NULL : &since,
                                         .limit = SHOWN},
                                .by_change = filters[i].since >= 0};
            assert_int_equal(db_transaction(db, list, &l), DB_OK);
            assert_int_equal(l.count, filters[i].count);
            assert_in_range(l.touched, filters[i].count,
                            2 * filters[i].count + (size_t)filters[i].extra + 10);
        }
    }
}

static void pages_follow_each_other(void **state) {
    struct db *db = *state;
    struct uuid before;
    size_t seen = 0;
    for (struct listing l = {.page = {.client_id = "old", .limit = 1000}};; l.page.before = &before) {
        struct arena arena = {0};
        struct order *orders;
        size_t count;
        assert_int_equal(order_store_list(db, &l.page, &arena, &orders, &count), DB_OK);
        seen += count;
        if (count > 0)
            before = orders[count - 1].id;
        arena_free(&arena);
        if (count == 0)
            break;
    }
    assert_int_equal(seen, 3000);
}

static void run_script(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s", db_error(db));
}

/* Of each client, a page of orders is looked at, however many it has. */
static void a_customer_of_many_clients_takes_a_page_of_each(void **state) {
    struct db *db = *state;
    run_script(db, guests);
    for (int run = 0; run < RUNS; run++) {
        struct listing l = {.page = {.customer_id = "guest", .limit = SHOWN}};
        assert_int_equal(db_transaction(db, list, &l), DB_OK);
        assert_int_equal(l.count, SHOWN);
        assert_in_range(l.touched, SHOWN, SHOPS * (SHOWN + 1) + 2 * SHOWN + 10);
    }
}

static char name[64];

static int set_up(void **state) {
    snprintf(name, sizeof name, "order_lists_%ld", (long)getpid());
    assert_true(live_database("CREATE DATABASE", name));
    struct db_options options = live_db_options();
    options.name = name;
    struct db *db = db_open(&options);
    *state = db;
    if (!migrate_apply(db, "order", migrations))
        return -1;
    run_script(db, fill);
    return 0;
}

static int tear_down(void **state) {
    db_close(*state);
    assert_true(live_database("DROP DATABASE", name));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_touches_what_it_shows), cmocka_unit_test(a_filter_touches_what_it_shows),
        cmocka_unit_test(pages_follow_each_other),
        cmocka_unit_test(a_customer_of_many_clients_takes_a_page_of_each), /* last: it adds orders */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
