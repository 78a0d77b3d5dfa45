/* POST /orders: which requests make an order, and what each of a batch is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/order_posts.h"

/* ---- New orders ---- */

static void a_new_order_is_answered_with_its_receipt(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    const struct order_creation *creation = creation_of(request);
    struct order order = *creation->order;
    struct buf expected = {0};
    order_receipt_json(&expected, &order);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(request, false));
    assert_int_equal(request->reply.body.len, expected.len);
    assert_memory_equal(request->reply.body.data, expected.data, expected.len);
    assert_int_equal(order.total, 300);
    assert_int_equal(store.orders, 1);
    assert_int_equal(wakes, 1); /* the relay is told */
    buf_free(&expected);
}

static void its_receipt_is_kept_in_redis(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    struct order_receipt_place place;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(redis.puts, 1);
    assert_true(order_receipt_locate(&place, database(), "shop", "k:key-1"));
    const struct cache_entry *entry = fake_cache_find(place.cache_key);
    assert_non_null(entry);
    uint8_t fingerprint[SHA256_SIZE];
    const char *body;
    size_t len;
    assert_true(order_receipt_parse(entry->value, entry->len, fingerprint, &body, &len));
    assert_memory_equal(fingerprint, creation_of(request)->fingerprint, sizeof fingerprint);
    assert_int_equal(len, request->reply.body.len);
    assert_memory_equal(body, request->reply.body.data, len);
    assert_in_range(entry->ttl_ms, KEY_LIFE_MS - 60000, KEY_LIFE_MS);
}

static void orders_of_a_batch_are_made_together(void **state) {
    (void)state;
    struct http_request *a = post("key-1", BODY), *b = post("key-2", BODY),
                        *c = post_of("other", "key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.creates, 1);
    assert_int_equal(store.orders, 3);
    assert_true(is_receipt(a, false) && is_receipt(b, false) && is_receipt(c, false));
    assert_false(same_body(a, b) || same_body(a, c) || same_body(b, c));
    assert_int_equal(redis.puts, 3);
    assert_int_equal(wakes, 1);
    assert_int_equal(store.let_before, 0); /* the next batch begins when they are stored */
    assert_int_equal(batches_let, 1);
}

static void without_redis_orders_are_made(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    redis.away = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(request, false));
}

/* ---- The same key in one batch ---- */

static void the_same_order_twice_in_a_batch_is_made_once(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", SAME_ORDER);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.create_count, 1);
    assert_int_equal(store.orders, 1);
    assert_true(is_receipt(first, false));
    assert_true(is_receipt(second, true));
    assert_true(same_body(first, second));
    assert_int_equal(redis.puts, 1);
}

static void another_order_with_the_key_of_a_neighbour_is_refused(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", OTHER_BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.orders, 1);
    assert_true(is_receipt(first, false));
    assert_true(is_problem(second, 422, "IDEMPOTENCY_KEY_REUSED"));
}

/* Its key was taken before, for the payload of the second: the first one is no measure of the second. */
static void each_of_a_key_is_judged_by_its_own_payload(void **state) {
    (void)state;
    struct http_request *other = post("key-1", OTHER_BODY), *same = post("key-1", BODY),
                        *again = post("key-1", OTHER_BODY);
    store.key_is_taken = true;
    store.fingerprint = creation_of(same)->fingerprint;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_first_receipt(same));
    assert_true(is_problem(other, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_true(is_problem(again, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(store.finds, 1);
}

/* ---- A key that PostgreSQL knows ---- */

static void a_replay_gets_the_first_answer(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", BODY);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.finds, 1);
    assert_int_equal(store.orders, 0);
    assert_true(is_first_receipt(first) && is_first_receipt(second));
    assert_int_equal(redis.puts, 1); /* the next one need not ask PostgreSQL */
}

static void a_key_that_was_used_for_another_order_is_refused(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", BODY);
    store.key_is_taken = true;
    store.taken_by = ORDER_KEY_REUSED;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_problem(first, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_true(is_problem(second, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(redis.puts, 0);
}

static void a_key_whose_order_is_gone_makes_an_order(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", BODY);
    store.key_is_taken = true;
    store.taken_by = ORDER_KEY_FREE;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.orders, 1);
    assert_true(is_receipt(first, false));
    assert_true(is_receipt(second, true));
    assert_true(same_body(first, second));
    assert_int_equal(redis.puts, 1);
    assert_int_equal(wakes, 1);
}

/* ---- A key that Redis knows ---- */

static void a_receipt_in_redis_spares_postgresql_the_search(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    put_receipt(request, true);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_first_receipt(request));
    assert_int_equal(store.finds, 0);
    assert_int_equal(redis.puts, 0);
}

static void a_receipt_of_another_order_in_redis_refuses(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    put_receipt(request, false);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_problem(request, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(store.finds, 0);
}

static void what_redis_does_not_know_is_searched_for(void **state) {
    (void)state;
    struct http_request *known = post("key-1", BODY), *unknown = post("key-2", BODY);
    put_receipt(known, true);
    store.key_is_taken = true;
    store.taken_by = ORDER_KEY_REUSED;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.finds, 1);
    assert_true(is_first_receipt(known));
    assert_true(is_problem(unknown, 422, "IDEMPOTENCY_KEY_REUSED"));
}

static void what_is_no_receipt_is_searched_for(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    put_receipt(request, true);
    redis.values[0][SHA256_SIZE] = 'x';
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.finds, 1);
    assert_true(is_first_receipt(request));
}

/* PostgreSQL decides: Redis may still know the key that has just expired. */
static void a_new_order_is_not_answered_with_an_old_receipt(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    put_receipt(request, true);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(request, false));
    assert_int_equal(redis.puts, 1);
}

static void redis_is_asked_only_for_keys_that_are_taken(void **state) {
    (void)state;
    (void)post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(redis.asks, 0);
    (void)post("key-2", BODY);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.asks_before, 0);
    assert_int_equal(redis.asks, 1);
}

/* ---- PostgreSQL is away, or busy ---- */

static void without_a_connection_redis_answers_alone(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY);
    put_receipt(first, true);
    put_receipt(second, false);
    store.connected = false;
    store.create_status = DB_UNAVAILABLE;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.creates, 0);
    assert_true(is_first_receipt(first));
    assert_true(is_problem(second, 422, "IDEMPOTENCY_KEY_REUSED"));
}

static void without_a_connection_redis_is_waited_for_first(void **state) {
    (void)state;
    struct http_request *known = post("key-1", BODY), *unknown = post("key-2", BODY);
    put_receipt(known, true);
    store.connected = false;
    store.create_status = DB_UNAVAILABLE;
    assert_int_equal(run(), OUTCOME_UNAVAILABLE);
    assert_int_equal(store.creates, 1);
    assert_int_equal(store.create_count, 1);
    assert_int_equal(store.asks_before, 1);
    assert_int_equal(batches_let, 0);
    assert_true(is_first_receipt(known));
    assert_int_equal(unknown->reply.status, 0); /* the server's to answer */
    assert_int_equal(wakes, 0);
}

static void a_connection_that_is_lost_leaves_replays_answered(void **state) {
    (void)state;
    struct http_request *known = post("key-1", BODY), *unknown = post("key-2", BODY);
    put_receipt(known, true);
    store.create_status = DB_UNAVAILABLE;
    assert_int_equal(run(), OUTCOME_UNAVAILABLE);
    assert_true(is_first_receipt(known));
    assert_int_equal(unknown->reply.status, 0);
}

static void a_search_that_fails_leaves_all_unanswered(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY);
    store.key_is_taken = true;
    store.find_status = DB_UNAVAILABLE;
    assert_int_equal(run(), OUTCOME_UNAVAILABLE);
    assert_int_equal(first->reply.status, 0);
    assert_int_equal(second->reply.status, 0);
    assert_int_equal(redis.puts, 0);
}

static void what_is_committed_is_answered_though_the_search_fails(void **state) {
    (void)state;
    struct http_request *made = post("key-1", BODY), *twin = post("key-1", BODY),
                        *taken = post("key-2", BODY);
    store.taken_key = "k:key-2";
    store.find_status = DB_FAILED;
    assert_int_equal(run(), OUTCOME_FAILED); /* for what is not answered */
    assert_true(is_receipt(made, false));
    assert_true(is_receipt(twin, true));
    assert_int_equal(taken->reply.status, 0);
    assert_int_equal(redis.puts, 1);
    assert_int_equal(wakes, 1);
}

static void a_key_that_another_transaction_holds_is_a_conflict(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    store.create_status = DB_LOCK_TIMEOUT;
    store.waited_for_key = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_problem(request, 409, "IDEMPOTENCY_CONFLICT"));
    assert_string_equal(fake_reply_header(request, "Retry-After"), "1");
    assert_int_equal(redis.puts, 0);
}

/* As while an index is built. */
static void a_table_that_another_transaction_holds_is_no_conflict(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    store.create_status = DB_LOCK_TIMEOUT;
    assert_int_equal(run(), OUTCOME_BUSY);
    assert_int_equal(request->reply.status, 0);
}

/* Nobody knows whose key it was: each is run again alone. */
static void a_lock_timeout_of_many_is_not_answered(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-2", BODY);
    store.create_status = DB_LOCK_TIMEOUT;
    assert_int_equal(run(), OUTCOME_BUSY);
    assert_int_equal(first->reply.status, 0);
    assert_int_equal(second->reply.status, 0);
    assert_int_equal(redis.puts, 0);
    assert_int_equal(wakes, 0);
}

static void after_a_busy_batch_each_is_made_alone(void **state) {
    (void)state;
    struct http_request *first = post("key-1", BODY), *second = post("key-1", BODY);
    struct http_worker worker = {.app = &app};
    store.create_status = DB_DEADLOCK;
    assert_int_equal(run(), OUTCOME_BUSY);
    store.create_status = DB_OK;
    assert_int_equal(orders_post_run(&worker, &first, 1), OUTCOME_DONE);
    assert_true(is_receipt(first, false));
    store.key_is_taken = true;
    assert_int_equal(orders_post_run(&worker, &second, 1), OUTCOME_DONE);
    assert_true(is_receipt(second, true));
    assert_true(same_body(first, second)); /* Redis has the receipt */
    assert_int_equal(store.orders, 1);
}

static void other_ways_of_being_busy_are_no_conflict(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    store.create_status = DB_STATEMENT_TIMEOUT;
    assert_int_equal(run(), OUTCOME_BUSY);
    assert_int_equal(request->reply.status, 0);
}

/* ---- Another database took its place ---- */

static void a_receipt_of_the_old_database_is_not_found(void **state) {
    (void)state;
    struct http_request *before = post("key-1", BODY);
    put_receipt(before, true);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE); /* now it is in memory, too */
    assert_true(is_first_receipt(before));
    store.key_is_taken = false;
    app.service.identity = store.identity = other_database();
    struct http_request *after = post("key-1", BODY);
    assert_int_equal(after->reply.status, 0);
    assert_int_equal(orders_post_run(&(struct http_worker){.app = &app}, &after, 1), OUTCOME_DONE);
    assert_true(is_receipt(after, false));
    assert_int_equal(store.orders, 1);
}

static void what_was_made_in_an_old_database_is_not_kept_for_the_new_one(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    store.identity = other_database();
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(request, false));
    assert_int_equal(redis.puts, 0);
}

static void the_old_database_is_not_asked_for_while_the_new_one_is_away(void **state) {
    (void)state;
    struct http_request *request = post("key-1", BODY);
    put_receipt(request, true);
    store.create_status = DB_UNAVAILABLE;
    app.service.identity = store.identity = other_database();
    for (int connected = 0; connected < 2; connected++) {
        store.connected = connected;
        struct http_worker worker = {.app = &app};
        assert_int_equal(orders_post_run(&worker, &request, 1), OUTCOME_UNAVAILABLE);
        assert_int_equal(request->reply.status, 0);
    }
}

static void nothing_is_kept_of_a_database_that_does_not_tell(void **state) {
    (void)state;
    app.service.identity = store.identity = NULL;
    struct http_request *request = post("key-1", BODY);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(request, false));
    assert_int_equal(redis.asks + redis.puts, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_order_is_answered_with_its_receipt),
        TEST(its_receipt_is_kept_in_redis),
        TEST(orders_of_a_batch_are_made_together),
        TEST(without_redis_orders_are_made),
        TEST(the_same_order_twice_in_a_batch_is_made_once),
        TEST(another_order_with_the_key_of_a_neighbour_is_refused),
        TEST(a_replay_gets_the_first_answer),
        TEST(a_key_that_was_used_for_another_order_is_refused),
        TEST(each_of_a_key_is_judged_by_its_own_payload),
        TEST(a_key_whose_order_is_gone_makes_an_order),
        TEST(a_receipt_in_redis_spares_postgresql_the_search),
        TEST(a_receipt_of_another_order_in_redis_refuses),
        TEST(what_redis_does_not_know_is_searched_for),
        TEST(what_is_no_receipt_is_searched_for),
        TEST(a_new_order_is_not_answered_with_an_old_receipt),
        TEST(redis_is_asked_only_for_keys_that_are_taken),
        TEST(without_a_connection_redis_answers_alone),
        TEST(without_a_connection_redis_is_waited_for_first),
        TEST(a_connection_that_is_lost_leaves_replays_answered),
        TEST(a_search_that_fails_leaves_all_unanswered),
        TEST(what_is_committed_is_answered_though_the_search_fails),
        TEST(a_key_that_another_transaction_holds_is_a_conflict),
        TEST(a_table_that_another_transaction_holds_is_no_conflict),
        TEST(a_lock_timeout_of_many_is_not_answered),
        TEST(after_a_busy_batch_each_is_made_alone),
        TEST(other_ways_of_being_busy_are_no_conflict),
        TEST(a_receipt_of_the_old_database_is_not_found),
        TEST(what_was_made_in_an_old_database_is_not_kept_for_the_new_one),
        TEST(the_old_database_is_not_asked_for_while_the_new_one_is_away),
        TEST(nothing_is_kept_of_a_database_that_does_not_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
