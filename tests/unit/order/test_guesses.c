/* Who must wait after failed authentications, and whom the failures of others do not hold up. */
#include "order/guesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT = 5, MINUTE_MS = 60000 };

static const int64_t start_ms = 987654321;
static struct guesses *guesses;

static int set_up(void **state) {
    (void)state;
    guesses = guesses_new(LIMIT);
    return guesses ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    guesses_free(guesses);
    return 0;
}

static struct address address(unsigned number) {
    struct address a = {
        {0x20, 0x01, 0x0d, 0xb8, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
    return a;
}

/* The limit that holds up the next try; "" when none does. */
static const char *look(const char *client, unsigned from, int64_t now_ms) {
    struct address a = address(from);
    struct limit_state state = guesses_look(guesses, client, &a, now_ms);
    return state.refused ? state.policy->name : "";
}

/* Guesses as often as it is let; how often that was, of so many tries. */
static unsigned guess(const char *client, unsigned from, int64_t now_ms, unsigned tries) {
    struct address a = address(from);
    unsigned count = 0;
    for (; tries > 0 && !*look(client, from, now_ms); tries--, count++)
        guesses_failed(guesses, client, &a, now_ms);
    return count;
}

static void a_client_that_guesses_from_one_address_must_wait(void **state) {
    (void)state;
    assert_int_equal(guess("shop", 1, start_ms, 100), LIMIT);
    assert_string_equal(look("shop", 1, start_ms), "failures");
    assert_int_equal(guess("shop", 1, start_ms + 2 * MINUTE_MS - 1, 100), 0);
    assert_int_equal(guess("shop", 1, start_ms + 2 * MINUTE_MS, 100), 1); /* one in two minutes from now on */
    assert_int_equal(guess("shop", 1, start_ms + 20 * MINUTE_MS, 100), LIMIT);
}

static void others_go_on(void **state) {
    (void)state;
    guess("shop", 1, start_ms, 100);
    assert_string_equal(look("shop", 2, start_ms), "");
    assert_string_equal(look("other", 1, start_ms), "");
}

static void asking_is_no_failure(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_string_equal(look("shop", 1, start_ms), "");
}

static void an_address_that_tries_many_clients_must_wait(void **state) {
    (void)state;
    unsigned count = 0;
    for (unsigned i = 0; i < 200; i++) {
        char client[32];
        snprintf(client, sizeof client, "client-%u", i);
        count += guess(client, 1, start_ms, 1);
    }
    assert_int_equal(count, 10 * LIMIT);
    assert_string_equal(look("fresh", 1, start_ms), "failures-of-address");
    assert_string_equal(look("fresh", 2, start_ms), "");
}

static void a_client_tried_from_many_addresses_is_held_up(void **state) {
    (void)state;
    unsigned count = 0;
    for (unsigned from = 1; from <= 100; from++)
        count += guess("shop", from, start_ms, LIMIT);
    assert_int_equal(count, 10 * LIMIT + 90); /* beyond the limit one from each address */
    assert_string_equal(look("shop", 100, start_ms), "failures-of-client");
    assert_string_equal(look("shop", 1000, start_ms), ""); /* the client itself */
    assert_string_equal(look("other", 100, start_ms), "");
}

static void addresses_of_one_subscriber_are_one(void **state) {
    (void)state;
    for (uint8_t i = 0; i < LIMIT; i++) {
        struct address a = address(1);
        a.bytes[15] = i;
        guesses_failed(guesses, "shop", &a, start_ms);
    }
    assert_string_equal(look("shop", 1, start_ms), "failures");
}

static void names_may_have_any_length(void **state) {
    (void)state;
    char name[16000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(guess(name, 1, start_ms, 100), LIMIT);
    name[sizeof name - 2] = 'y';
    assert_string_equal(look(name, 1, start_ms), "");
    assert_int_equal(guess("", 1, start_ms, 100), LIMIT);
}

static void a_limit_of_zero_is_no_limit(void **state) {
    (void)state;
    guesses_free(guesses);
    guesses = guesses_new(0);
    assert_int_equal(guess("shop", 1, start_ms, 1000), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_that_guesses_from_one_address_must_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_is_no_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_tries_many_clients_must_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_tried_from_many_addresses_is_held_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_of_one_subscriber_are_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_may_have_any_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limit_of_zero_is_no_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
