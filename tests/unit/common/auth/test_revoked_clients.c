/* Revoked tokens by their clients: one by one, and all of a time together. */
#include "common/auth/revoked_clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

enum { NOW = 1800000000 };
#define MS(seconds) ((int64_t)(seconds)*1000)

static struct uuid id_of(uint8_t number) {
    return (struct uuid){{[15] = number}};
}

static void add(struct revoked_clients *clients, const char *client, uint8_t number, int64_t issued_ms) {
    const struct revocation r = {id_of(number), NOW + 3600, client, issued_ms};
    assert_true(revoked_clients_add(clients, &r, NOW));
}

static void end(struct revoked_clients *clients, const char *client, int64_t before_ms) {
    const struct client_revocation e = {client, before_ms, NOW + 7200};
    assert_true(revoked_clients_end(clients, &e, NOW));
}

static bool has(const struct revoked_clients *clients, const char *client, uint8_t number,
                int64_t issued_ms) {
    struct uuid id = id_of(number);
    return revoked_clients_has(clients, client, &id, issued_ms);
}

static void one_token_is_revoked(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    assert_false(has(&clients, "shop", 1, MS(NOW)));
    add(&clients, "shop", 1, MS(NOW));
    add(&clients, "shop", 1, MS(NOW));
    assert_int_equal(clients.tokens, 1);
    assert_true(has(&clients, "shop", 1, MS(NOW)));
    assert_false(has(&clients, "shop", 2, MS(NOW)));
    revoked_clients_free(&clients);
}

/* Rows of before tell neither client nor time. */
static void a_token_of_an_unknown_client_is_revoked(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    add(&clients, NULL, 1, REVOCATION_NO_TIME);
    end(&clients, "shop", MS(NOW));
    assert_true(has(&clients, "shop", 1, MS(NOW)));
    assert_true(has(&clients, "other", 1, MS(NOW)));
    assert_false(has(&clients, "other", 2, MS(NOW)));
    revoked_clients_free(&clients);
}

static void all_tokens_of_a_time_are_revoked(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    end(&clients, "shop", MS(NOW) + 500);
    assert_true(has(&clients, "shop", 1, MS(NOW)));
    assert_true(has(&clients, "shop", 1, MS(NOW) + 499));
    assert_false(has(&clients, "shop", 1, MS(NOW) + 500));
    assert_false(has(&clients, "sho", 1, MS(NOW)));
    assert_false(has(&clients, "shop2", 1, MS(NOW)));
    revoked_clients_free(&clients);
}

static void the_latest_end_counts_in_any_order(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    end(&clients, "shop", MS(NOW) + 500);
    end(&clients, "shop", MS(NOW));
    assert_true(has(&clients, "shop", 1, MS(NOW) + 499));
    assert_int_equal(clients.count, 1);
    revoked_clients_free(&clients);
}

/* An end takes the place of the tokens that it covers, before and after. */
static void an_end_makes_room(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    for (uint8_t i = 0; i < 100; i++)
        add(&clients, "shop", i, MS(NOW) + i);
    add(&clients, "other", 200, MS(NOW));
    add(&clients, "shop", 201, REVOCATION_NO_TIME);
    assert_int_equal(clients.tokens, 102);
    end(&clients, "shop", MS(NOW) + 60);
    assert_int_equal(clients.tokens, 42);
    add(&clients, "shop", 7, MS(NOW) + 7);
    assert_int_equal(clients.tokens, 42);
    for (uint8_t i = 0; i < 100; i++)
        assert_true(has(&clients, "shop", i, MS(NOW) + i));
    assert_true(has(&clients, "other", 200, MS(NOW)));
    assert_true(has(&clients, "shop", 201, MS(NOW) + 99));
    revoked_clients_free(&clients);
}

static void what_has_expired_goes(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    add(&clients, "shop", 1, MS(NOW));
    end(&clients, "other", MS(NOW));
    revoked_clients_tidy(&clients, NOW + 3600);
    assert_int_equal(clients.tokens, 0);
    assert_int_equal(clients.count, 1);
    revoked_clients_tidy(&clients, NOW + 7200);
    assert_int_equal(clients.count, 0);
    assert_false(has(&clients, "other", 1, 0));
    revoked_clients_free(&clients);
}

static void many_clients_are_told_apart(void **state) {
    (void)state;
    struct revoked_clients clients = {0};
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c%d", i * 7919 % 1000);
        end(&clients, name, MS(NOW) + i * 7919 % 1000);
    }
    assert_int_equal(clients.count, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_true(i == 0 || has(&clients, name, 1, MS(NOW) + i - 1));
        assert_false(has(&clients, name, 1, MS(NOW) + i));
    }
    revoked_clients_free(&clients);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token_is_revoked),
        cmocka_unit_test(a_token_of_an_unknown_client_is_revoked),
        cmocka_unit_test(all_tokens_of_a_time_are_revoked),
        cmocka_unit_test(the_latest_end_counts_in_any_order),
        cmocka_unit_test(an_end_makes_room),
        cmocka_unit_test(what_has_expired_goes),
        cmocka_unit_test(many_clients_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
