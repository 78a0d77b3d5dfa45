/* POST /orders before PostgreSQL is asked: keys, orders without a key, what is refused, and replays from memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/order_posts.h"
#include "fakes/rows.h"

static int tear_down_rows(void **state) {
    (void)row_tell(state);
    return tear_down(state);
}

/* ---- Without a key ---- */

static void without_a_key_the_same_order_is_made_once(void **state) {
    (void)state;
    struct http_request *first = post(NULL, BODY), *second = post(NULL, SAME_ORDER),
                        *third = post(NULL, OTHER_BODY);
    assert_int_equal(strncmp(creation_of(first)->key, "f:", 2), 0);
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.orders, 2);
    assert_true(is_receipt(first, false));
    assert_true(is_receipt(second, true) && same_body(first, second));
    assert_true(is_receipt(third, false));
}

static void a_key_that_is_the_content_lives_shorter(void **state) {
    (void)state;
    const struct order_creation *with_key = creation_of(post("key-1", BODY)),
                                *without = creation_of(post(NULL, BODY));
    assert_int_equal(with_key->expires_ms - with_key->order->created_ms, KEY_LIFE_MS);
    assert_int_equal(without->expires_ms - without->order->created_ms, FINGERPRINT_LIFE_MS);
}

static void without_a_key_and_its_rule_every_order_is_new(void **state) {
    (void)state;
    config.idempotency_fingerprint_ttl = 0;
    struct http_request *first = post(NULL, BODY), *second = post(NULL, BODY);
    store.key_is_taken = true; /* there is none */
    assert_int_equal(run(), OUTCOME_DONE);
    assert_int_equal(store.orders, 2);
    assert_true(is_receipt(first, false) && is_receipt(second, false));
    assert_false(same_body(first, second));
    assert_int_equal(redis.asks, 0);
    assert_int_equal(redis.puts, 0);
}

/* It waited for no key: the server runs it again, or says that it was in conflict. */
static void without_a_key_a_lock_timeout_is_no_conflict_of_keys(void **state) {
    (void)state;
    config.idempotency_fingerprint_ttl = 0;
    struct http_request *request = post(NULL, BODY);
    store.create_status = DB_LOCK_TIMEOUT;
    assert_int_equal(run(), OUTCOME_BUSY);
    assert_int_equal(request->reply.status, 0);
}

static void beside_orders_without_a_key_redis_is_asked_for_the_others(void **state) {
    (void)state;
    config.idempotency_fingerprint_ttl = 0;
    struct http_request *known = post("key-1", BODY), *other = post("key-2", BODY);
    struct http_request *keyless = post(NULL, BODY); /* first in the batch */
    put_receipt(known, true);
    put_receipt(other, false);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_receipt(keyless, false));
    assert_true(is_first_receipt(known));
    assert_true(is_problem(other, 422, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(redis.asks, 1);
}

/* ---- Replays from memory ---- */

/* A replay that Redis has answered once. */
static void replay_by_redis(const char *key) {
    put_receipt(post(key, BODY), true);
    store.key_is_taken = true;
    assert_int_equal(run(), OUTCOME_DONE);
    assert_true(is_first_receipt(&posts[0]));
}

static void a_replay_that_redis_has_answered_is_answered_from_memory(void **state) {
    (void)state;
    store.first.id = uuid_new(); /* memory keeps it for the key's life from when it was made */
    replay_by_redis("key-1");
    struct http_request *again = post("key-1", BODY);
    assert_true(is_first_receipt(again));
    assert_null(again->command);
}

static void memory_compares_each_byte_of_the_body(void **state) {
    (void)state;
    store.first.id = uuid_new();
    replay_by_redis("key-1");
    assert_non_null(post("key-1", SAME_ORDER)->command); /* it is for others to know that it is the same */
    assert_non_null(post("key-1", OTHER_BODY)->command);
}

static void memory_keeps_clients_and_keys_apart(void **state) {
    (void)state;
    store.first.id = uuid_new();
    replay_by_redis("key-1");
    assert_non_null(post("key-2", BODY)->command);
    assert_non_null(post_of("other", "key-1", BODY)->command);
}

static void memory_forgets_a_receipt_with_its_key(void **state) {
    (void)state;
    replay_by_redis("key-1"); /* its order is of a time long ago */
    assert_non_null(post("key-1", BODY)->command);
}

/* Nobody would look there for it. */
static void a_replay_without_a_key_is_not_kept_in_memory(void **state) {
    (void)state;
    store.first.id = uuid_new();
    replay_by_redis(NULL);
    struct order_receipt_place place;
    uint8_t body_hash[SHA256_SIZE] = {0}; /* prepare hashes no body that has no key */
    char value[MEMORY_CACHE_VALUE_MAX];
    const char *body;
    size_t len;
    assert_true(order_receipt_locate(&place, database(), "shop", creation_of(&posts[0])->key));
    assert_false(order_receipt_recall(app.memory, &place, body_hash, value, &body, &len));
    assert_non_null(post(NULL, BODY)->command);
}

/* ---- Keys, and what is refused ---- */

static void quoted_and_bare_keys_are_one(void **state) {
    (void)state;
    assert_string_equal(creation_of(post("key-1", BODY))->key, "k:key-1");
    assert_string_equal(creation_of(post("\"key-1\"", BODY))->key, "k:key-1");
}

static void bad_keys_are_refused(void **state) {
    (void)state;
    static char longest[257];
    memset(longest, 'k', 255);
    assert_non_null(post(longest, BODY)->command);
    longest[255] = 'k';
    const char *const keys[] = {"",     "\"\"",     "a b",  "a\tb",     "\"a",
                                "a\"b", "\"a\\b\"", "\x7f", "\xc3\xa9", longest};
    for_each_row(i, keys, "'%s'", keys[i]) {
        post_count = 0;
        assert_true(is_problem(post(keys[i], BODY), 400, "VALIDATION_ERROR"));
    }
}

static void two_keys_are_refused(void **state) {
    (void)state;
    fake_end(&posts[0]);
    fake_request_header("Idempotency-Key", "key-1");
    posts[0] = (struct http_request){.app = &app, .claims = {.client_id = "shop"}};
    fake_request_header("Idempotency-Key", "key-1");
    buf_str(&posts[0].body, BODY);
    orders_post_prepare(&posts[0]);
    assert_true(is_problem(&posts[0], 400, "VALIDATION_ERROR"));
}

static void an_order_with_faults_is_refused(void **state) {
    (void)state;
    struct http_request *request = post("key-1", "{\"customer_id\":7}");
    assert_true(is_problem(request, 400, "VALIDATION_ERROR"));
    assert_non_null(strstr(request->reply.body.data, "/customer_id"));
    assert_non_null(strstr(request->reply.body.data, "/items"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_rows)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_a_key_the_same_order_is_made_once),
        TEST(a_key_that_is_the_content_lives_shorter),
        TEST(without_a_key_and_its_rule_every_order_is_new),
        TEST(without_a_key_a_lock_timeout_is_no_conflict_of_keys),
        TEST(beside_orders_without_a_key_redis_is_asked_for_the_others),
        TEST(a_replay_that_redis_has_answered_is_answered_from_memory),
        TEST(memory_compares_each_byte_of_the_body),
        TEST(memory_keeps_clients_and_keys_apart),
        TEST(memory_forgets_a_receipt_with_its_key),
        TEST(a_replay_without_a_key_is_not_kept_in_memory),
        TEST(quoted_and_bare_keys_are_one),
        TEST(bad_keys_are_refused),
        TEST(two_keys_are_refused),
        TEST(an_order_with_faults_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
