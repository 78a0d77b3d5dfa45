/* order-svc when memory is short: orders, their JSON, and the handlers on made-up stores. */
#include "failing.h"
#include "short_request.h"

#include "common/base/json.h"
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/events/outbox.h"
#include "common/http/limit.h"
#include "common/service/worker.h"
#include "order/app.h"
#include "order/clients.h"
#include "order/feed.h"
#include "order/guesses.h"
#include "order/order_json.h"
#include "order/order_receipts.h"
#include "order/order_store.h"
#include "order/order_views.h"
#include "order/orders.h"
#include "order/standby.h"
#include "order/tokens.h"
#include "order/webhook_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "fakes/fake_cache.h"
#include "fakes/fake_revocations.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ID "0190163d-8694-739b-aea5-966c26f8ad91"
#define BODY                                                                                                 \
    "{\"customer_id\":\"customer-demo-001\",\"items\":[{\"product_id\":\"laptop-001\",\"quantity\":1,"       \
    "\"unit_price\":"                                                                                        \
    "999.99},{\"product_id\":\"mouse-001\",\"quantity\":2,\"unit_price\":29.99}],"                           \
    "\"currency\":\"EUR\",\"reference\":\"R\",\"metadata\":{\"b\":\"1\",\"a\":\"2\"}}"

/* The world around the handlers. */

bool clients_know(struct clients *clients, const char *id) {
    (void)clients, (void)id;
    return true;
}

enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        struct client_grant *grant) {
    (void)clients;
    assert_string_equal(id, "shop");
    assert_string_equal(secret, "secret");
    *grant = (struct client_grant){.scope = "order:create order:read"};
    return CLIENT_OK;
}

const char *cache_error(const struct cache *cache) {
    (void)cache;
    return "";
}

void feed_wake(struct feed *feed) {
    (void)feed;
}

void outbox_wake(struct outbox *outbox) {
    (void)outbox;
}

enum db_status order_store_create(struct db *db, struct order_creation *const creations[], size_t n) {
    (void)db;
    for (size_t i = 0; i < n; i++)
        creations[i]->outcome = ORDER_CREATED;
    return DB_OK;
}

enum db_status order_store_find_taken(struct db *db, struct order_creation *const creations[], size_t n) {
    (void)db, (void)creations, (void)n;
    return DB_FAILED;
}

enum db_status order_store_find(struct db *db, struct order_wanted wanted[], size_t n, struct arena *arena) {
    static struct order_item item = {"p", 1, 100};
    static struct order order = {.client_id = "shop",
                                 .customer_id = "c",
                                 .status = ORDER_DELIVERED,
                                 .version = 7,
                                 .total = 100,
                                 .items = &item,
                                 .item_count = 1};
    (void)db, (void)arena;
    for (size_t i = 0; i < n; i++)
        wanted[i].order = &order;
    return DB_OK;
}

enum db_status order_store_list(struct db *db, const struct order_page *page, struct arena *arena,
                                struct order **orders, size_t *count) {
    (void)db, (void)page, (void)arena, (void)orders, (void)count;
    return DB_FAILED;
}

static const struct token_options token_options = {.secret = "0123456789abcdef0123456789abcdef",
                                                   .issuer = "the-issuer",
                                                   .audience = "the-api",
                                                   .lifetime_s = 3600};
static const struct config config = {.app_env = ENV_PRODUCTION,
                                     .idempotency_ttl = 86400000,
                                     .idempotency_fingerprint_ttl = 86400000,
                                     .order_view_ttl = 60000};
static struct order_app app = {.service = {.config = &config}};
static struct db *no_database; /* a connection to none */

static uint8_t database[DB_IDENTITY_SIZE];

static struct db_identity *known_identity(void) {
    static struct db_identity *identity; /* made in the first run, where all is well */
    if (!identity) {
        identity = db_identity_new();
        unsigned changes;
        assert_true(db_identity_note(identity, "1/00000001/1", 0, database, &changes));
    }
    return identity;
}

static struct http_request new_request(void) {
    struct http_request request = {.app = &app, .request_id = "id", .traceparent = "00-1-2-01"};
    strcpy(request.claims.client_id, "shop");
    strcpy(request.claims.scope, "order:create order:read");
    return request;
}

static bool body_of_an_order(void) {
    struct arena arena = {0};
    struct order order = {0};
    struct http_faults faults = {0};
    bool good = order_from_json(BODY, sizeof BODY - 1, &arena, &order, &faults);
    bool read = good && !arena.failed;
    assert_int_equal(faults.count, 0);
    if (read) {
        assert_string_equal(order.customer_id, "customer-demo-001");
        assert_int_equal(order.item_count, 2);
        assert_string_equal(order.items[1].product_id, "mouse-001");
        assert_int_equal(order.total, 105997);
        assert_string_equal(order.metadata, "{\"a\":\"2\",\"b\":\"1\"}");
    }
    arena_free(&arena);
    return read;
}

static bool faults_of_an_order(void) {
    static const char body[] =
        "{\"customer_id\":7,\"items\":[{\"quantity\":0,\"unit_price\":1.001,\"x\":1}]}";
    struct http_request request = new_request();
    struct arena arena = {0};
    struct order order = {0};
    struct http_faults faults = {0};
    assert_false(order_from_json(body, sizeof body - 1, &arena, &order, &faults));
    assert_int_equal(faults.count, 5 - (order.items == NULL) * 4);
    arena_free(&arena);
    http_reply_faults(&request, &faults);
    bool whole = request.reply.status == 400 && request.reply.body.len > 0 && order.items;
    assert_true(request.reply.status == 400 || request.reply.status == 503);
    fake_end(&request);
    return whole;
}

static bool order_as_json(void) {
    struct order_item items[] = {{"a", 2, 100}, {"b", 1, 250}};
    struct order order = {.client_id = "shop",
                          .customer_id = "c",
                          .total = 450,
                          .items = items,
                          .item_count = 2,
                          .tracking_number = "T",
                          .carrier = "C"};
    struct buf texts[3] = {{0}};
    uint8_t fingerprint[SHA256_SIZE];
    order_receipt_json(&texts[0], &order);
    order_view_json(&texts[1], &order);
    order_created_json(&texts[2], &order, &order.id);
    bool whole = order_fingerprint(&order, fingerprint);
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *value = texts[i].failed ? NULL : json_loadb(texts[i].data, texts[i].len, 0, NULL);
        assert_true(value || texts[i].failed);
        whole = whole && value;
        json_decref(value);
        buf_free(&texts[i]);
    }
    return whole;
}

static bool status_event(void) {
    static const char body[] =
        "{\"eventType\":\"ORDER_STATUS_UPDATE\",\"orderId\":\"" ID "\",\"currentStatus\":\"SHIPPED\","
        "\"trackingNumber\":\"T1\",\"carrier\":\"C1\"}";
    struct arena arena = {0};
    struct order_status_event event;
    char reason[256] = "?";
    bool good = order_status_event_parse(body, sizeof body - 1, &arena, &event, reason, sizeof reason);
    bool read = good && !arena.failed;
    if (read) {
        assert_string_equal(event.tracking_number, "T1");
        assert_string_equal(event.carrier, "C1");
    } else {
        assert_true(arena.failed); /* it is not the event's fault: it comes again */
    }
    arena_free(&arena);
    return read;
}

static bool key_of_a_receipt(void) {
    static struct order_receipt_place first;
    struct order_receipt_place place;
    bool made = order_receipt_locate(&place, app.service.identity, "shop", "k:1");
    if (made && !*first.cache_key)
        first = place;
    if (made)
        assert_string_equal(place.cache_key, first.cache_key);
    return made;
}

/* Nothing is known from an earlier run. */
static bool fresh_memory(void) {
    memory_cache_free(app.memory);
    app.service.identity = known_identity();
    app.memory = memory_cache_new(32768);
    return app.memory;
}

static bool post(const char *key) {
    if (!fresh_memory())
        return false;
    struct http_request request = new_request(), *requests[] = {&request};
    struct http_worker worker = {.db = no_database, .app = &app};
    if (key)
        fake_request_header("Idempotency-Key", key);
    buf_str(&request.body, BODY);
    if (request.body.failed) { /* the server answers this */
        fake_end(&request);
        return false;
    }
    orders_post_prepare(&request);
    if (!prepared(&request)) {
        fake_end(&request);
        return false;
    }
    const struct order_creation *creation = request.command; /* a creation begins with it */
    assert_true(creation->event && creation->key && strncmp(creation->key, key ? "k:my-key" : "f:", 2) == 0);
    assert_int_equal(orders_post_run(&worker, requests, 1), OUTCOME_DONE);
    return answered(&request, 201, "Location");
}

static bool post_with_key(void) {
    return post("my-key");
}

static bool post_without_key(void) {
    return post(NULL);
}

static bool get(void) {
    if (!fresh_memory())
        return false;
    struct http_request request = new_request(), *requests[] = {&request};
    struct http_worker worker = {.db = no_database, .app = &app};
    request.params[0] = ID;
    orders_get_prepare(&request);
    bool whole = prepared(&request);
    if (whole && orders_get_run(&worker, requests, 1) == OUTCOME_DONE)
        return answered(&request, 200, "ETag");
    assert_true(!whole || request.reply.status == 0); /* unanswered: the server does it */
    fake_end(&request);
    return false;
}

static bool get_from_memory(void) {
    if (!fresh_memory())
        return false;
    struct order_wanted wanted = {0};
    struct http_request request = new_request();
    request.params[0] = ID;
    assert_int_equal(order_store_find(NULL, &wanted, 1, NULL), DB_OK);
    struct order order = *wanted.order;
    assert_true(uuid_parse(ID, &order.id));
    const struct order_views views = {
        .memory = app.memory, .identity = app.service.identity, .ttl_ms = 60000};
    order_views_put(&views, database, &(const struct order *){&order}, 1);
    orders_get_prepare(&request);
    if (request.reply.status == 200)
        return answered(&request, 200, "ETag");
    http_reply_shortage(&request);
    assert_true(request.reply.status == 503 || request.command); /* or the database is asked */
    fake_end(&request);
    return false;
}

static bool list_of_a_customer(void) {
    struct http_request request = new_request();
    fake_arguments[0] = (struct http_header){"customer_id", "customer-demo-001"};
    orders_list_prepare(&request);
    bool whole = prepared(&request);
    if (whole) { /* a listing begins with what the client has seen, and its page */
        const struct {
            struct standby_seen seen;
            struct order_page page;
        } *listing = request.command;
        assert_string_equal(listing->page.customer_id, "customer-demo-001");
    }
    fake_end(&request);
    return whole;
}

/* One of the OAuth endpoints, with Basic credentials. */
static bool oauth(void handler(struct http_request *), const char *form) {
    struct http_request request = new_request();
    if (!app.service.auth.keys)
        app.service.auth.keys = token_keys_new(&token_options);
    fake_request_header("Content-Type", "application/x-www-form-urlencoded");
    fake_request_header("Authorization", "Basic c2hvcDpzZWNyZXQ="); /* shop:secret */
    buf_str(&request.body, form);
    if (request.body.failed) {
        fake_end(&request);
        return false;
    }
    handler(&request);
    return answered(&request, 200, "Cache-Control");
}

static bool token_is_issued(void) {
    return oauth(tokens_issue_prepare, "grant_type=client_credentials&scope=order:read");
}

static bool token_is_looked_at(void) {
    static char form[2048];
    if (!*form) { /* in the first run, where all is well */
        struct token_claims claims;
        struct token_keys *keys = token_keys_new(&token_options);
        char *token = token_issue(keys, "shop", "order:read", INT32_MAX, &claims);
        snprintf(form, sizeof form, "token=%s", token);
        free(token);
        token_keys_free(keys);
    }
    return oauth(tokens_introspect_prepare, form);
}

static bool body_of_a_webhook(void) {
    static const char body[] =
        "{\"url\":\"https://example.com/\",\"events\":[\"order.shipped\"],\"description\":\"d\"}";
    static const struct address_list none;
    const struct callout_policy policy = {.allowed = &none};
    struct arena arena = {0};
    struct webhook_input input;
    struct http_faults faults = {0};
    bool good =
        webhook_from_json(body, sizeof body - 1, true, &policy, &arena, &input, &faults) && !arena.failed;
    if (good) {
        assert_string_equal(input.url, "https://example.com/");
        assert_string_equal(input.events, "order.shipped");
        assert_string_equal(input.description, "d");
    }
    http_faults_free(&faults);
    arena_free(&arena);
    return good;
}

static bool secret_and_signature_of_a_webhook(void) {
    static const char key[] = "the key of this test, which is long enough";
    struct uuid id = {{1}};
    uint8_t secret[WEBHOOK_SECRET_BYTES];
    char shown[WEBHOOK_SECRET_SIZE], sealed[WEBHOOK_SEALED_SIZE], signature[WEBHOOK_SIGNATURE_SIZE];
    return webhook_secret_new(key, &id, shown, sealed) && webhook_secret_open(key, &id, sealed, secret) &&
           webhook_sign(secret, "id", 1, "{}", signature);
}

int main(void) {
    static const struct memory_scenario scenarios[] = {
        {"the body of an order", body_of_an_order},
        {"the faults of an order", faults_of_an_order},
        {"an order as JSON", order_as_json},
        {"a status event", status_event},
        {"the key of a receipt", key_of_a_receipt},
        {"POST /orders with a key", post_with_key},
        {"POST /orders without a key", post_without_key},
        {"GET /orders/:id", get},
        {"GET /orders/:id from memory", get_from_memory},
        {"GET /orders", list_of_a_customer},
        {"POST /auth/token", token_is_issued},
        {"the body of a webhook", body_of_a_webhook},
        {"the secret of a webhook, and a signature", secret_and_signature_of_a_webhook},
        {"POST /auth/introspect", token_is_looked_at},
    };
    redis.away = true;
    app.guesses = guesses_new(0);
    app.orders_limit = limit_new(&(struct limit_policy){.name = "none"});
    no_database = db_open(&(struct db_options){0});
    if (!app.guesses || !app.orders_limit || !no_database)
        return 1;
    return memory_run(scenarios, COUNT(scenarios));
}
