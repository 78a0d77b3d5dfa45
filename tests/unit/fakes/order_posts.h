/* POST /orders without a server, PostgreSQL or Redis: requests, and stores that are the test's. Include after cmocka.h, in
 * one file of a test. */
#pragma once

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "fake_http.h"
#include "fake_identity.h"
#include "fake_order_store.h"
#include "fake_standby.h"
#include "order/app.h"
#include "order/feed.h"
#include "order/order_json.h"
#include "order/order_receipts.h"
#include "order/orders.h"

#include <stdlib.h>

#define ITEM "{\"product_id\":\"p\",\"quantity\":2,\"unit_price\":1.50}"
#define BODY "{\"customer_id\":\"c\",\"items\":[" ITEM "]}"
#define SAME_ORDER "{ \"items\" : [" ITEM "], \"customer_id\" : \"c\" }" /* in other bytes */
#define OTHER_BODY "{\"customer_id\":\"d\",\"items\":[" ITEM "]}"

enum { MOST_POSTS = 3, FINGERPRINT_LIFE_MS = 60000 };

static size_t wakes; /* of the relay */
static struct config config = {.idempotency_ttl = KEY_LIFE_MS};
static struct order_app app = {.service = {.config = &config}};
static struct http_request posts[MOST_POSTS], *batch[MOST_POSTS];
static size_t post_count;

void feed_wake(struct feed *feed) {
    (void)feed;
}

void outbox_wake(struct outbox *outbox) {
    assert_ptr_equal(outbox, app.outbox);
    wakes++;
}

static inline int set_up(void **state) {
    (void)state;
    memset(&store, 0, sizeof store);
    memset(&redis, 0, sizeof redis);
    store.connected = true;
    store.identity = database();
    store.taken_by = ORDER_REPLAYED;
    assert_true(uuid_parse("01939d4e-0000-7abc-8000-00000000ffff", &store.first.id));
    store.first.total = 300;
    store.first.created_ms = clock_epoch_ms() - 1000;
    config.idempotency_fingerprint_ttl = FINGERPRINT_LIFE_MS;
    wakes = post_count = batches_let = 0;
    app.service.identity = database();
    app.memory = memory_cache_new(64);
    app.orders_limit = limit_new(&(struct limit_policy){.name = "orders"});
    app.outbox = (struct outbox *)&wakes;
    return app.memory && app.orders_limit ? 0 : -1;
}

static inline int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < MOST_POSTS; i++)
        fake_end(&posts[i]);
    limit_free(app.orders_limit);
    memory_cache_free(app.memory);
    return 0;
}

/* Another request: prepared, and of the batch when it is not answered. */
static inline struct http_request *post_of(const char *client, const char *key, const char *body) {
    assert_true(post_count < MOST_POSTS);
    struct http_request *request = &posts[post_count++];
    fake_end(request);
    request->app = &app;
    strcpy(request->request_id, "request-1");
    strcpy(request->claims.client_id, client);
    if (key)
        fake_request_header("Idempotency-Key", key);
    buf_str(&request->body, body);
    orders_post_prepare(request);
    assert_false(request->arena.failed);
    assert_true(!request->command == (request->reply.status != 0));
    return request;
}

static inline struct http_request *post(const char *key, const char *body) {
    return post_of("shop", key, body);
}

/* Runs all that was prepared as one batch, in another order than it came. */
static inline enum outcome run(void) {
    struct http_worker worker = {.app = &app};
    for (size_t i = 0; i < post_count; i++)
        batch[i] = &posts[post_count - 1 - i];
    return orders_post_run(&worker, batch, post_count);
}

static inline bool is_problem(const struct http_request *request, unsigned status, const char *code) {
    char member[64];
    snprintf(member, sizeof member, "\"error\":\"%s\"", code);
    return request->reply.status == status && strstr(request->reply.body.data, member);
}

/* Whether the answer is a receipt, for the first time or again. */
static inline bool is_receipt(const struct http_request *request, bool replayed) {
    const char *again = fake_reply_header(request, "Idempotent-Replayed"),
               *location = fake_reply_header(request, "Location");
    char id[UUID_TEXT_SIZE];
    if (request->reply.status != 201 || !location)
        return false;
    order_receipt_id(request->reply.body.data, id);
    return strncmp(location, "/orders/", 8) == 0 && strcmp(location + 8, id) == 0 &&
           (replayed ? again && strcmp(again, "true") == 0 : !again);
}

static inline bool same_body(const struct http_request *a, const struct http_request *b) {
    return a->reply.body.len == b->reply.body.len &&
           memcmp(a->reply.body.data, b->reply.body.data, a->reply.body.len) == 0;
}

/* Whether the answer is the receipt of store.first. */
static inline bool is_first_receipt(const struct http_request *request) {
    struct buf expected = {0};
    order_receipt_json(&expected, &store.first);
    bool same = expected.len == request->reply.body.len &&
                memcmp(expected.data, request->reply.body.data, expected.len) == 0;
    buf_free(&expected);
    return same && is_receipt(request, true);
}

/* The creation of a request that was not answered yet begins its command. */
static inline const struct order_creation *creation_of(const struct http_request *request) {
    return request->command;
}

/* Lets Redis know the receipt of store.first for the key of this request, with the request's fingerprint or another. */
static inline void put_receipt(const struct http_request *request, bool same_fingerprint) {
    struct order_receipt_place place;
    uint8_t fingerprint[SHA256_SIZE];
    struct buf body = {0};
    memcpy(fingerprint, creation_of(request)->fingerprint, sizeof fingerprint);
    fingerprint[0] ^= !same_fingerprint;
    assert_true(
        order_receipt_locate(&place, database(), request->claims.client_id, creation_of(request)->key));
    order_receipt_json(&body, &store.first);
    order_receipts_put(NULL,
                       &(struct order_receipt){.cache_key = place.cache_key,
                                               .fingerprint = fingerprint,
                                               .body = body.data,
                                               .len = body.len,
                                               .expires_ms = clock_epoch_ms() + KEY_LIFE_MS},
                       1);
    redis.puts = 0;
    buf_free(&body);
}
