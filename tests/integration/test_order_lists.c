/* Lists of orders touch about as many rows as they show, also when everything that was asked for is old and everything new
 * is somebody else's. Against a real PostgreSQL (DB_HOST, DB_PORT, DB_USER, DB_PASSWORD). */
#include "common/db/migrate.h"
#include "order/order_store.h"

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
    OPEN = 100, /* orders that are not delivered */
    RUNS = 12,  /* after five runs PostgreSQL may use a generic plan */
};

/* 15 % of the orders are the oldest, of a client that was quiet since, and of one customer. A busy client has the rest. The
 * newest are not delivered. */
static const char fill[] =
    "INSERT INTO orders (id, client_id, customer_id, status, total_amount, created_at, updated_at)"
    " SELECT (lpad(to_hex(n), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid,"
    "        CASE WHEN n <= 3000 THEN 'old' ELSE 'busy' END,"
    "        CASE WHEN n <= 3000 THEN 'customer-old' ELSE 'customer-' || n % 3 END,"
    "        CASE WHEN n > 19900 THEN 'PENDING_SHIPMENT' ELSE 'DELIVERED' END, 1, now(), now()"
    "   FROM generate_series(1, 20000) n;"
    "INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"
    " SELECT id, 1, 'p', 1, 1 FROM orders;"
    "ANALYZE";

/* The rows of orders that the connection has touched. The statistics forget them now and then, but not during a
 * transaction. */
static const struct db_query touched_query = {"touched",
                                              "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint"
                                              "  FROM pg_stat_xact_user_tables WHERE relname = 'orders'"};

struct listing {
    struct order_page page;
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
        assert_true(uuid_compare(&orders[i].id, &orders[i - 1].id) < 0);
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
    {"customer", NULL, "customer-old", NULL, SHOWN, 0},
    {"no customer", NULL, "nobody", NULL, 0, 0},
    {"client and customer", "old", "customer-old", NULL, SHOWN, 0},
    {"pending", NULL, NULL, &pending, SHOWN, 0},
    {"delivered", NULL, NULL, &delivered, SHOWN, OPEN},
    {"pending of client", "old", NULL, &pending, 0, OPEN},
    {"pending of busy client", "busy", NULL, &pending, SHOWN, 0},
    {"delivered of client", "old", NULL, &delivered, SHOWN, 0},
    {"delivered of busy client", "busy", NULL, &delivered, SHOWN, OPEN},
    {"delivered of customer", NULL, "customer-old", &delivered, SHOWN, 0},
    {"delivered of client and customer", "old", "customer-old", &delivered, SHOWN, 0},
    {"pending of customer", NULL, "customer-1", &pending, SHOWN, OPEN},
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

static char name[64];

static void run_script(struct db *db, const char *sql) {
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s", db_error(db));
}

static void on_server(const char *verb) {
    struct db_options options = live_db_options();
    char sql[128];
    options.name = "postgres";
    struct db *admin = db_open(&options);
    snprintf(sql, sizeof sql, "%s %s", verb, name);
    run_script(admin, sql);
    db_close(admin);
}

static int set_up(void **state) {
    snprintf(name, sizeof name, "order_lists_%ld", (long)getpid());
    on_server("CREATE DATABASE");
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
    on_server("DROP DATABASE");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_touches_what_it_shows),
        cmocka_unit_test(pages_follow_each_other),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
