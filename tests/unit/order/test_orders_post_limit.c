/* POST /orders and what bounds new orders: the limit, what counts and what is answered beyond it; references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/private.h"
#include "fakes/order_posts.h"

static int set_up_limit(void **state) {
    int failed = set_up(state);
    limit_free(app.orders_limit);
    app.orders_limit = limit_new(&(struct limit_policy){"orders", 1, 60});
    return failed || !app.orders_limit;
}

/* What is left of the client's limit when everything is answered. */
static int64_t left_of(const char *client) {
    for (size_t i = 0; i < post_count; i++)
        http_settle(&posts[i]);
    return limit_look(app.orders_limit, client, strlen(client), clock_mono_ms()).left;
}

static void a_new_order_counts(void **state) {
    (void)state;
    post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.orders, 1);
    assert_int_equal(left_of("shop"), 0);
    assert_int_equal(left_of("other"), 1);
}

static void faults_do_not_count(void **state) {
    (void)state;
    assert_true(is_problem(post("key-1", "{}"), 400, "VALIDATION_ERROR"));
    assert_true(is_problem(post("a key", BODY), 400, "VALIDATION_ERROR"));
    assert_int_equal(left_of("shop"), 1);
}

static void a_replay_does_not_count(void **state) {
    (void)state;
    store.key_is_taken = true;
    struct http_request *request = post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_first_receipt(request));
    assert_int_equal(left_of("shop"), 1);
}

static void a_key_that_is_reused_does_not_count(void **state) {
    (void)state;
    store.key_is_taken = true;
    store.taken_by = ORDER_KEY_REUSED;
    struct http_request *request = post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_problem(request, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(left_of("shop"), 1);
}

static void what_the_database_does_not_take_does_not_count(void **state) {
    (void)state;
    store.create_status = DB_UNAVAILABLE;
    struct http_request *request = post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_UNAVAILABLE);
    assert_int_equal(request->reply.status, 0);
    assert_int_equal(left_of("shop"), 1);
}

static void beyond_the_limit_no_order_is_made(void **state) {
    (void)state;
    store.taken_by = ORDER_KEY_FREE;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY),
                        *third = post_of("other", "key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(first, false) && is_receipt(third, false));
    assert_true(is_problem(second, 429, "RATE_LIMITED"));
    assert_int_equal(store.orders, 2);
    assert_int_equal(left_of("shop"), 0);
}

static void beyond_the_limit_replays_are_answered(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY),
                        *third = post(NULL, BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(first, false));
    assert_true(is_first_receipt(second) && is_first_receipt(third));
    assert_int_equal(store.orders, 1);
    assert_int_equal(left_of("shop"), 0);
}

static void beyond_the_limit_redis_answers_replays(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY);
    put_receipt(second, true);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(first, false));
    assert_true(is_first_receipt(second));
    assert_int_equal(store.finds, 0);
}

/* The duplicate has taken nothing: it must not make the order instead of the one that has. */
static void a_duplicate_beyond_the_limit_is_a_replay(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.create_count, 1);
    assert_true(is_receipt(first, false));
    assert_true(is_receipt(second, true));
    assert_int_equal(left_of("shop"), 0);
}

static void beyond_the_limit_nothing_without_a_key_is_looked_for(void **state) {
    (void)state;
    config.idempotency_fingerprint_ttl = 0;
    assert_non_null(post(NULL, BODY)->command);
    assert_true(is_problem(post(NULL, BODY), 429, "RATE_LIMITED"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_limit, tear_down)

static void a_reference_that_is_taken_is_refused(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post_of("other", "key-2", BODY);
    store.taken_key = "k:key-1";
    store.taken_by = ORDER_REFERENCE_TAKEN;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_problem(first, 409, "REFERENCE_TAKEN"));
    assert_true(is_receipt(second, false)); /* its neighbour */
    assert_int_equal(left_of("shop"), 1);   /* it made no order */
    assert_int_equal(redis.puts, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_order_counts),
        TEST(faults_do_not_count),
        TEST(a_replay_does_not_count),
        TEST(a_key_that_is_reused_does_not_count),
        TEST(what_the_database_does_not_take_does_not_count),
        TEST(beyond_the_limit_no_order_is_made),
        TEST(beyond_the_limit_replays_are_answered),
        TEST(beyond_the_limit_redis_answers_replays),
        TEST(a_duplicate_beyond_the_limit_is_a_replay),
        TEST(beyond_the_limit_nothing_without_a_key_is_looked_for),
        TEST(a_reference_that_is_taken_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
