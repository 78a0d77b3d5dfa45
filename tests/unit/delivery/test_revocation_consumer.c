/* Which messages become revoked tokens. The table is this file's. */
#include "delivery/revocation_consumer.h"

#include "common/base/clock.h"
#include "delivery/app.h"
#include "delivery/revocation_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fakes/fake_revocations.h"
#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ID "0190163d-8694-739b-aea5-966c26f8ad91"

static struct revocation_batch stored;
static char stored_client[TOKEN_CLIENT_ID_SIZE]; /* of the last row */
static enum db_status store_status;

enum db_status revocation_store_keep(struct db *db, struct revocation_batch *batch) {
    (void)db;
    stored = *batch;
    const char *client = batch->client_count ? batch->clients[0].client_id : batch->tokens[0].client_id;
    snprintf(stored_client, sizeof stored_client, "%s", client ? client : "(none)");
    return store_status;
}

static struct delivery_app app;

static int reset(void **state) {
    (void)state;
    stored = (struct revocation_batch){0};
    known_count = ended_count = 0;
    store_status = DB_OK;
    full = crowded = false;
    return 0;
}

static int64_t now_s(void) {
    return clock_epoch_ms() / 1000;
}

/* The outcome of a message with this body; its reason is left in reason. */
static char reason[CONSUMER_REASON_SIZE];
static enum consumer_outcome outcome_of(const char *body) {
    struct queue_message message = {.body = body, .body_len = strlen(body)};
    struct consumer_message in = {.message = &message};
    assert_int_equal(revocation_consumer_handle(&app, NULL, &in, 1), store_status);
    memcpy(reason, in.reason, sizeof reason);
    return in.outcome;
}

static const char *event(int64_t expires_at) {
    static char body[256];
    snprintf(body, sizeof body,
             "{\"eventType\":\"TOKEN_REVOKED\",\"eventId\":\"e\",\"tokenId\":\"" ID
             "\",\"expiresAt\":%lld,\"timestamp\":\"t\"}",
             (long long)expires_at);
    return body;
}

static void a_revoked_token_is_kept(void **state) {
    (void)state;
    struct uuid id;
    assert_true(uuid_parse(ID, &id));
    int64_t expires_at = now_s() + 3600;
    assert_int_equal(outcome_of(event(expires_at)), CONSUMER_DONE);
    assert_int_equal(stored.token_count, 1);
    assert_int_equal(uuid_compare(&stored.tokens[0].token_id, &id), 0);
    assert_int_equal(stored.tokens[0].expires_at, expires_at);
    assert_int_equal(known_count, 1);
    assert_int_equal(uuid_compare(&known[0].token_id, &id), 0);
    /* What the operator's command writes, on a clock that is ahead. */
    assert_int_equal(outcome_of(event(now_s() + REVOCATION_LIFE_S + 5)), CONSUMER_DONE);
}

static void an_expired_token_is_not_kept(void **state) {
    (void)state;
    assert_int_equal(outcome_of(event(now_s() - 1)), CONSUMER_DONE);
    assert_int_equal(stored.token_count, 0);
}

static void what_is_no_revocation_is_hopeless(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"eventType\":\"ORDER_CREATED\",\"tokenId\":\"" ID "\",\"expiresAt\":4000000000}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"expiresAt\":1800000000}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"1\",\"expiresAt\":1800000000}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"" ID "\"}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"" ID "\",\"expiresAt\":\"1800000000\"}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"" ID "\",\"expiresAt\":1.5}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"" ID "\",\"expiresAt\":9223372036854775807}",
        "{\"eventType\":\"TOKEN_REVOKED\",\"tokenId\":\"" ID "\",\"expiresAt\":1800000000,\"version\":2}",
    };
    for_each_row(i, bodies, "%s", bodies[i]) {
        if (outcome_of(bodies[i]) != CONSUMER_HOPELESS)
            fail_msg("taken: %s", bodies[i]);
        assert_true(*reason);
    }
    assert_int_equal(outcome_of(event(now_s() + 80 * 86400)), CONSUMER_HOPELESS);
    assert_int_equal(stored.token_count, 0);
}

/* The good one of a batch is kept, and each message has its own outcome. */
static void a_batch_is_kept_as_a_whole(void **state) {
    (void)state;
    int64_t expires_at = now_s() + 60;
    char good[256];
    strcpy(good, event(expires_at));
    struct queue_message messages[] = {
        {.body = "{}", .body_len = 2}, {.body = good, .body_len = strlen(good)}, {.body = "", .body_len = 0}};
    struct consumer_message in[] = {
        {.message = &messages[0]}, {.message = &messages[1]}, {.message = &messages[2]}};
    assert_int_equal(revocation_consumer_handle(&app, NULL, in, COUNT(in)), DB_OK);
    assert_int_equal(in[0].outcome, CONSUMER_HOPELESS);
    assert_int_equal(in[1].outcome, CONSUMER_DONE);
    assert_int_equal(in[2].outcome, CONSUMER_HOPELESS);
    assert_int_equal(stored.token_count, 1);
    assert_int_equal(stored.tokens[0].expires_at, expires_at);
}

static void a_failure_of_the_table_is_passed_on(void **state) {
    (void)state;
    store_status = DB_UNAVAILABLE;
    (void)outcome_of(event(now_s() + 60));
    assert_int_equal(stored.token_count, 1);
    assert_int_equal(known_count, 0);
}

static const char *event_of_client(int64_t expires_at, const char *more) {
    static char body[512];
    snprintf(body, sizeof body,
             "{\"eventType\":\"TOKEN_REVOKED\",\"eventId\":\"e\",\"tokenId\":\"" ID
             "\",\"expiresAt\":%lld,\"clientId\":\"shop\",\"issuedAt\":1750000000123%s}",
             (long long)expires_at, more);
    return body;
}

static void the_client_of_a_token_is_kept(void **state) {
    (void)state;
    assert_int_equal(outcome_of(event_of_client(now_s() + 60, "")), CONSUMER_DONE);
    assert_int_equal(stored.token_count, 1);
    assert_string_equal(stored_client, "shop");
    assert_int_equal(stored.tokens[0].issued_ms, 1750000000123);
}

static const char *end_event(const char *client_id, int64_t before_ms, int64_t expires_at) {
    static char body[512];
    snprintf(body, sizeof body,
             "{\"eventType\":\"CLIENT_TOKENS_REVOKED\",\"eventId\":\"e\",\"clientId\":\"%s\","
             "\"issuedBefore\":%lld,\"expiresAt\":%lld,\"timestamp\":\"t\"}",
             client_id, (long long)before_ms, (long long)expires_at);
    return body;
}

static void all_tokens_of_a_client_end(void **state) {
    (void)state;
    int64_t before_ms = clock_epoch_ms(), expires_at = now_s() + REVOCATION_LIFE_S;
    assert_int_equal(outcome_of(end_event("shop", before_ms, expires_at)), CONSUMER_DONE);
    assert_int_equal(stored.client_count, 1);
    assert_int_equal(stored.token_count, 0);
    assert_string_equal(stored_client, "shop");
    assert_int_equal(stored.clients[0].before_ms, before_ms);
    assert_int_equal(stored.clients[0].expires_at, expires_at);
    assert_int_equal(ended_count, 1);
    assert_int_equal(outcome_of(end_event("shop", 1000, now_s() - 1)), CONSUMER_DONE);
    assert_int_equal(stored.client_count, 0);
}

static void what_ends_no_client_is_hopeless(void **state) {
    (void)state;
    assert_int_equal(outcome_of(end_event("", 1000, now_s() + 60)), CONSUMER_HOPELESS);
    assert_int_equal(outcome_of(end_event("a\\u0000b", 1000, now_s() + 60)), CONSUMER_HOPELESS);
    assert_int_equal(outcome_of(end_event("shop", -1, now_s() + 60)), CONSUMER_HOPELESS);
    assert_int_equal(outcome_of(end_event("shop", INT64_MAX, now_s() + 60)), CONSUMER_HOPELESS);
    assert_int_equal(outcome_of(end_event("shop", 1000, INT64_MAX)), CONSUMER_HOPELESS);
    assert_int_equal(
        outcome_of("{\"eventType\":\"CLIENT_TOKENS_REVOKED\",\"issuedBefore\":1,\"expiresAt\":2}"),
        CONSUMER_HOPELESS);
    assert_int_equal(outcome_of(event_of_client(now_s() + 60, ",\"version\":2")), CONSUMER_HOPELESS);
    assert_int_equal(ended_count, 0);
}

/* A full memory makes no dead letters. */
static void where_there_is_no_room_the_tokens_before_end_too(void **state) {
    (void)state;
    full = true;
    assert_int_equal(outcome_of(event_of_client(now_s() + 60, "")), CONSUMER_DONE);
    assert_int_equal(stored.token_count, 0);
    assert_int_equal(stored.client_count, 1);
    assert_int_equal(stored.clients[0].before_ms, 1750000000124);
    assert_int_equal(outcome_of(event(now_s() + 60)), CONSUMER_DONE); /* of a client that is not known */
    assert_int_equal(stored.token_count, 1);
    full = false;
    crowded = true; /* order-svc says which tokens end */
    assert_int_equal(outcome_of(event_of_client(now_s() + 60, "")), CONSUMER_DONE);
    assert_int_equal(stored.token_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_revoked_token_is_kept, reset),
        cmocka_unit_test_setup(an_expired_token_is_not_kept, reset),
        cmocka_unit_test_setup(what_is_no_revocation_is_hopeless, reset),
        cmocka_unit_test_setup(a_batch_is_kept_as_a_whole, reset),
        cmocka_unit_test_setup(a_failure_of_the_table_is_passed_on, reset),
        cmocka_unit_test_setup(the_client_of_a_token_is_kept, reset),
        cmocka_unit_test_setup(all_tokens_of_a_client_end, reset),
        cmocka_unit_test_setup(what_ends_no_client_is_hopeless, reset),
        cmocka_unit_test_setup(where_there_is_no_room_the_tokens_before_end_too, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
