/* The clients in memory: who is let in, and how the copy follows the table. The table is this file's. */
#include "order/clients.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "order/app.h"
#include "order/client_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What the table holds, by name; in strcmp's order of ids, as the store promises. */
static const struct row {
    const char *id, *secret, *scope;
    bool disabled;
    const char *old_secret; /* still valid; NULL: none */
    int64_t from_ms;
} first_rows[] =
    {
        {"Zebra", "zebra-secret", "order:read", false, NULL, 0},
        {"demo-admin", "changed-secret", "order:read", false, NULL, 0},
        {"shop-1", "one-secret", "order:create order:read", false, NULL, 0},
        {"shop-2", "two-secret", "order:create", true, NULL, 0},
},
  later_rows[] = {
      {"shop-1", "rotated-secret", "order:read", false, NULL, 0},
      {"shop-3", "three-secret", "order:create", false, "old-secret", 1800000000123},
};

enum table { TABLE_AWAY, TABLE_FIRST, TABLE_LATER, TABLE_EMPTY };
static atomic_int table;
static atomic_int reads;

enum db_status client_store_list(struct db *db, struct arena *arena, struct client **clients, size_t *count) {
    (void)db;
    enum table now = (enum table)atomic_load(&table);
    const struct row *rows = now == TABLE_LATER ? later_rows : first_rows;
    *count = now == TABLE_EMPTY ? 0 : now == TABLE_LATER ? COUNT(later_rows) : COUNT(first_rows);
    *clients = arena_array(arena, *count, sizeof **clients);
    for (size_t i = 0; i < *count; i++) {
        struct client *client = &(*clients)[i];
        client->id = arena_strdup(arena, rows[i].id);
        client->scope = arena_strdup(arena, rows[i].scope);
        secret_hash(rows[i].secret, client->secret_hash);
        client->disabled = rows[i].disabled;
        client->from_ms = rows[i].from_ms;
        client->old_secret_hash[0] = '\0';
        if (rows[i].old_secret)
            secret_hash(rows[i].old_secret, client->old_secret_hash);
    }
    atomic_fetch_add(&reads, 1);
    return now == TABLE_AWAY ? DB_UNAVAILABLE : DB_OK;
}

static struct config config = {.service = CONFIG_ORDER};
static const struct service_daemon daemon = {.name = "order-service"};
static struct order_app app = {.service = {.daemon = &daemon, .config = &config}};

static struct clients *start(enum table now, bool demo_clients) {
    atomic_store(&table, now);
    config.demo_clients = demo_clients;
    struct clients *clients = clients_start(&app);
    assert_non_null(clients);
    return clients;
}

static enum client_status status_of(struct clients *clients, const char *id, const char *secret) {
    struct client_grant grant;
    return clients_authenticate(clients, id, secret, &grant);
}

static void only_those_with_their_secret_are_let_in(void **state) {
    (void)state;
    static const struct {
        const char *id, *secret;
        enum client_status expected;
    } cases[] = {
        {"shop-1", "one-secret", CLIENT_OK},
        {"Zebra", "zebra-secret", CLIENT_OK},
        {"demo-admin", "changed-secret", CLIENT_OK},
        {"shop-1", "two-secret", CLIENT_REFUSED},
        {"shop-1", "one-secre", CLIENT_REFUSED},
        {"shop-1", "", CLIENT_REFUSED},
        {"SHOP-1", "one-secret", CLIENT_REFUSED},
        {"shop-2", "two-secret", CLIENT_REFUSED}, /* disabled */
        {"shop-3", "three-secret", CLIENT_REFUSED},
        {"", "", CLIENT_REFUSED},
        {"demo-client", "demo-secret", CLIENT_REFUSED}, /* not in production */
    };
    struct clients *clients = start(TABLE_FIRST, false);
    for_each_row(i, cases, "%s with %s", cases[i].id, cases[i].secret) {
        if (status_of(clients, cases[i].id, cases[i].secret) != cases[i].expected)
            fail_msg("wrong status for %s with %s", cases[i].id, cases[i].secret);
    }
    clients_stop(clients, 0);
}

static void a_client_gets_its_scope(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_FIRST, false);
    struct client_grant grant = {.scope = "untouched"};
    assert_int_equal(clients_authenticate(clients, "shop-1", "wrong", &grant), CLIENT_REFUSED);
    assert_string_equal(grant.scope, "untouched");
    assert_int_equal(clients_authenticate(clients, "shop-1", "one-secret", &grant), CLIENT_OK);
    assert_string_equal(grant.scope, "order:create order:read");
    clients_stop(clients, 0);
}

static void demo_clients_are_let_in(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_EMPTY, true);
    struct client_grant grant;
    assert_int_equal(clients_authenticate(clients, "demo-client", "demo-secret", &grant), CLIENT_OK);
    assert_string_equal(grant.scope, "order:create order:read");
    static const char *const of_the_seed[] = {"test-client", "order-app"};
    for_each_row(i, of_the_seed, "%s", of_the_seed[i]) {
        assert_int_equal(clients_authenticate(clients, of_the_seed[i], "demo-secret", &grant), CLIENT_OK);
        assert_string_equal(grant.scope, "order:create order:read");
    }
    assert_int_equal(clients_authenticate(clients, "demo-delivery", "demo-delivery-secret", &grant),
                     CLIENT_OK);
    assert_string_equal(grant.scope, "delivery:read delivery:read:all delivery:write");
    assert_int_equal(clients_authenticate(clients, "demo-admin", "demo-admin-secret", &grant), CLIENT_OK);
    assert_string_equal(grant.scope, SCOPES_KNOWN);
    assert_int_equal(status_of(clients, "demo-client", "demo-admin-secret"), CLIENT_REFUSED);
    clients_stop(clients, 0);
}

static void the_table_hides_a_demo_client(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_FIRST, true);
    assert_int_equal(status_of(clients, "demo-client", "demo-secret"), CLIENT_OK);
    assert_int_equal(status_of(clients, "demo-admin", "changed-secret"), CLIENT_OK);
    assert_int_equal(status_of(clients, "demo-admin", "demo-admin-secret"), CLIENT_REFUSED);
    clients_stop(clients, 0);
}

/* Before the table was read nobody can be said to be unknown. */
static void nobody_is_unknown_before_the_table_was_read(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_AWAY, true);
    assert_int_equal(status_of(clients, "shop-1", "one-secret"), CLIENT_UNREAD);
    assert_int_equal(status_of(clients, "demo-client", "demo-secret"), CLIENT_OK);
    assert_int_equal(status_of(clients, "demo-client", "wrong"), CLIENT_REFUSED);
    clients_stop(clients, 0);
}

static bool becomes(struct clients *clients, const char *id, const char *secret,
                    enum client_status expected) {
    for (int64_t end = clock_mono_ms() + 30000; clock_mono_ms() < end; clock_sleep_ms(20))
        if (status_of(clients, id, secret) == expected)
            return true;
    return false;
}

static void the_copy_follows_the_table(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_FIRST, false);
    atomic_store(&table, TABLE_LATER);
    assert_true(becomes(clients, "shop-3", "three-secret", CLIENT_OK));
    assert_int_equal(status_of(clients, "shop-1", "one-secret"), CLIENT_REFUSED);
    assert_int_equal(status_of(clients, "shop-1", "rotated-secret"), CLIENT_OK);
    assert_int_equal(status_of(clients, "Zebra", "zebra-secret"), CLIENT_REFUSED);

    /* The table is away: what is known stays. */
    atomic_store(&table, TABLE_AWAY);
    int before = atomic_load(&reads);
    for (int64_t end = clock_mono_ms() + 30000; atomic_load(&reads) == before && clock_mono_ms() < end;)
        clock_sleep_ms(20);
    assert_int_not_equal(atomic_load(&reads), before);
    assert_int_equal(status_of(clients, "shop-3", "three-secret"), CLIENT_OK);
    assert_int_equal(status_of(clients, "shop-1", "one-secret"), CLIENT_REFUSED);

    /* But not for long: it may have been disabled. */
    assert_true(becomes(clients, "shop-3", "three-secret", CLIENT_UNREAD));
    assert_int_equal(status_of(clients, "shop-1", "one-secret"), CLIENT_UNREAD);
    atomic_store(&table, TABLE_LATER);
    assert_true(becomes(clients, "shop-3", "three-secret", CLIENT_OK));
    clients_stop(clients, 0);
}

static void the_old_secret_is_good_as_long_as_the_table_has_it(void **state) {
    (void)state;
    struct clients *clients = start(TABLE_LATER, false);
    struct client_grant grant = {0};
    assert_int_equal(clients_authenticate(clients, "shop-3", "old-secret", &grant), CLIENT_OK);
    assert_int_equal(clients_authenticate(clients, "shop-3", "three-secret", &grant), CLIENT_OK);
    assert_true(grant.from_ms == 1800000000123);
    assert_int_equal(status_of(clients, "shop-1", "old-secret"), CLIENT_REFUSED);
    assert_int_equal(status_of(clients, "shop-1", ""), CLIENT_REFUSED);
    clients_stop(clients, 0);
}

int main(void) {
    log_setup("test", LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_with_their_secret_are_let_in),
        cmocka_unit_test(a_client_gets_its_scope),
        cmocka_unit_test(demo_clients_are_let_in),
        cmocka_unit_test(the_table_hides_a_demo_client),
        cmocka_unit_test(nobody_is_unknown_before_the_table_was_read),
        cmocka_unit_test(the_copy_follows_the_table),
        cmocka_unit_test(the_old_secret_is_good_as_long_as_the_table_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
