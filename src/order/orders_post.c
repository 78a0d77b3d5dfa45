/* POST /orders: from the JSON body to a durable order, in batches. */
#include "orders.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "feed.h"
#include "idempotency_key.h"
#include "order_json.h"
#include "order_receipts.h"
#include "order_store.h"
#include "standby.h"

#include <stdlib.h>
#include <string.h>

/* A request between prepare and its answer. */
struct creation {
    struct order_creation store; /* must stay first */
    struct order order;
    struct http_request *request;
    struct order_receipt_place place; /* of the receipt; only with a key */
    uint8_t body_hash[SHA256_SIZE];
    bool over;                       /* the client's limit: it may only be a replay */
    bool asks;                       /* Redis is asked for its receipt */
    size_t asked;                    /* index of its value in the response of Redis */
    const struct creation *original; /* request of the batch with the same key that goes first, or NULL */
};

/* ---- prepare, on an HTTP thread ---- */

static void reply_receipt(struct http_request *request, const char *body, size_t len, bool replayed) {
    struct buf copy = {0};
    char id[UUID_TEXT_SIZE];
    buf_append(&copy, body, len);
    order_receipt_id(body, id);
    http_reply_json(request, 201, &copy);
    http_reply_header(request, "Location", "/orders/%s", id);
    if (replayed)
        http_reply_header(request, "Idempotent-Replayed", "true");
}

static void reply_key_reused(struct http_request *request) {
    http_reply_problem(request, PROBLEM_IDEMPOTENCY_KEY_REUSED,
                       "This Idempotency-Key was used for another order");
}

static void locate_receipt(struct http_request *request, struct creation *c) {
    const struct order_app *app = request->app;
    request->arena.failed |=
        !order_receipt_locate(&c->place, app->service.identity, request->claims.client_id, c->store.key);
}

/* Answers a replay whose receipt is in memory, before the body is parsed. False when there is none. */
static bool answer_from_memory(struct http_request *request, struct creation *c) {
    const struct order_app *app = request->app;
    char value[MEMORY_CACHE_VALUE_MAX];
    const char *body;
    size_t len;
    sha256(request->body.data, request->body.len, c->body_hash);
    bool hit = order_receipt_recall(app->memory, &c->place, c->body_hash, value, &body, &len);
    order_lookup_count(&app->series.receipts_memory, hit);
    if (!hit)
        return false;
    reply_receipt(request, body, len, true);
    return true;
}

/* Reads the order from the body. False when it has faults, which are answered, or when out of memory. */
static bool read_order_body(struct http_request *request, struct order *order) {
    struct http_faults faults = {0};
    order->currency = ((const struct order_app *)request->app)->service.config->default_currency;
    if (!order_from_json(request->body.data, request->body.len, &request->arena, order, &faults))
        http_reply_faults(request, &faults);
    return !request->reply.status && !request->arena.failed;
}

/* Without a key, the fingerprint of the order serves as one. IDEMPOTENCY_FINGERPRINT_TTL=0 switches this off. */
static void use_fingerprint(struct http_request *request, struct creation *c) {
    char *key = arena_alloc(&request->arena, 2 + 2 * SHA256_SIZE + 1);
    if (!key)
        return;
    memcpy(key, "f:", 2);
    hex_encode(c->store.fingerprint, SHA256_SIZE, key + 2);
    c->store.key = key;
    locate_receipt(request, c);
}

/* Fills in all that does not come from the body. */
static void complete_order(struct http_request *request, struct creation *c) {
    const struct config *config = ((const struct order_app *)request->app)->service.config;
    int64_t life_ms = c->store.key ? config->idempotency_ttl : config->idempotency_fingerprint_ttl;
    struct buf event = {0};
    c->request = request;
    c->order.id = uuid_new();
    c->order.client_id = request->claims.client_id;
    c->order.version = 1;
    c->order.created_ms = c->order.updated_ms = uuid_time_ms(&c->order.id); /* lists find it there */
    c->store.order = &c->order;
    c->store.expires_ms = c->order.created_ms + life_ms;
    c->store.event_id = uuid_new();
    c->store.request_id = request->request_id;
    c->store.traceparent = http_trace(request);
    request->arena.failed |= !order_fingerprint(&c->order, c->store.fingerprint);
    if (!c->store.key && life_ms)
        use_fingerprint(request, c);
    order_created_json(&event, &c->order, &c->store.event_id);
    request->arena.failed |= event.failed;
    c->store.event = event.failed ? NULL : arena_memdup(&request->arena, event.data, event.len);
    buf_free(&event);
}

/* Takes a new order from the client's limit. Beyond it, a request that has a key may still be a replay, which makes no
 * order: a worker looks for it. False when it was refused. */
static bool reserve_order(struct http_request *request, struct creation *c) {
    const struct order_app *app = request->app;
    const char *client = request->claims.client_id;
    c->over = !http_reserve(request, app->orders_limit, client, strlen(client));
    if (c->over && !c->store.key)
        http_refuse_reserved(request);
    return !request->reply.status;
}

void orders_post_prepare(struct http_request *request) {
    struct creation *c = http_expect_json(request) ? arena_alloc(&request->arena, sizeof *c) : NULL;
    if (!c || !idempotency_key_read(request, &c->store.key))
        return;
    if (c->store.key) {
        locate_receipt(request, c);
        if (request->arena.failed || (!standby_asks(request) && answer_from_memory(request, c)))
            return;
    }
    if (!read_order_body(request, &c->order))
        return;
    complete_order(request, c);
    if (!request->arena.failed && reserve_order(request, c))
        request->command = c;
}

/* ---- run, on a worker's thread ---- */

static int compare_keys(const void *left, const void *right) {
    const struct creation *a = *(const struct creation *const *)left,
                          *b = *(const struct creation *const *)right;
    int order = strcmp(a->order.client_id, b->order.client_id);
    if (order == 0)
        order = strcmp(a->store.key ? a->store.key : "", b->store.key ? b->store.key : "");
    return order ? order : uuid_compare(&a->order.id, &b->order.id);
}

/* Sorts by client and key, and selects the first request of each key that may make an order. Returns how many are in
 * go. */
static size_t choose_originals(struct creation *creations[], size_t n, struct order_creation *go[]) {
    size_t count = 0;
    const struct creation *last = NULL;
    qsort(creations, n, sizeof *creations, compare_keys);
    for (size_t i = 0; i < n; i++) {
        struct creation *c = creations[i];
        bool same = last && c->store.key && last->store.key && strcmp(c->store.key, last->store.key) == 0 &&
                    strcmp(c->order.client_id, last->order.client_id) == 0;
        c->original = same && !c->over ? last : NULL;
        if (c->over) {
            c->store.outcome = ORDER_KEY_TAKEN; /* if it is not, it is refused */
        } else if (!same) {
            go[count++] = &c->store;
            last = c;
        }
    }
    return count;
}

/* The receipts that Redis has of these. Each creation keeps the index of its own. Not if the database was replaced after the
 * request came: the new one may not have the order. */
static struct cache_values *get_receipts(const struct order_app *app, struct cache *cache,
                                         struct creation *const creations[], size_t n) {
    const char *keys[HTTP_BATCH_MAX];
    uint8_t database[DB_IDENTITY_SIZE];
    size_t count = 0;
    bool known = db_identity_get(app->service.identity, database);
    for (size_t i = 0; i < n; i++) {
        struct creation *c = creations[i];
        c->asks = known && c->store.key && c->place.known &&
                  memcmp(c->place.database, database, sizeof database) == 0;
        c->asked = count;
        if (c->asks)
            keys[count++] = c->place.cache_key;
    }
    return count ? cache_get(cache, keys, count) : NULL;
}

/* Answers a request whose receipt Redis knows. False when it is none. */
static bool answer_from_receipt(struct memory_cache *memory, const struct creation *c, const char *value,
                                size_t value_len) {
    uint8_t fingerprint[SHA256_SIZE];
    const char *body;
    size_t len;
    if (!order_receipt_parse(value, value_len, fingerprint, &body, &len))
        return false;
    if (memcmp(fingerprint, c->store.fingerprint, sizeof fingerprint) != 0) {
        reply_key_reused(c->request);
        return true;
    }
    if (c->store.key[0] == 'k') /* prepare looks into memory only for keys of clients, not for fingerprints */
        order_receipt_remember(memory, &c->place, c->body_hash, body, len,
                               c->store.expires_ms - c->order.created_ms);
    reply_receipt(c->request, body, len, true);
    return true;
}

static bool is_decided(const struct creation *c) {
    return c->store.outcome != ORDER_UNDECIDED && c->store.outcome != ORDER_KEY_TAKEN &&
           (c->store.outcome != ORDER_KEY_FREE || c->over);
}

/* Answers those requests whose receipt Redis knows. Moves the others to the front and returns how many they are. */
static size_t answer_from_redis(const struct order_app *app, struct cache *cache,
                                struct creation *creations[], size_t n) {
    struct cache_values *values = get_receipts(app, cache, creations, n);
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        struct creation *c = creations[i];
        size_t len;
        const char *value = c->asks ? cache_value(values, c->asked, &len) : NULL;
        if (values && c->asks)
            order_lookup_count(&app->series.receipts_redis, value);
        if (!value || !answer_from_receipt(app->memory, c, value, len))
            creations[left++] = c;
    }
    cache_values_free(values);
    return left;
}

/* Asks PostgreSQL about the taken keys that Redis did not have. */
static enum db_status find_taken(struct db *db, struct creation *const creations[], size_t n) {
    struct order_creation *taken[HTTP_BATCH_MAX];
    for (size_t i = 0; i < n; i++)
        taken[i] = &creations[i]->store;
    return n ? order_store_find_taken(db, taken, n) : DB_OK;
}

/* A request whose original made an order is compared with it. If that made none, its key was taken before, and each is
 * judged by itself. */
static void settle_duplicate(struct creation *c) {
    const struct creation *first = c->original;
    if (first->store.outcome != ORDER_CREATED) {
        c->store.outcome = first->store.outcome;
        return;
    }
    bool same = memcmp(c->store.fingerprint, first->store.fingerprint, SHA256_SIZE) == 0;
    c->store.outcome = same ? ORDER_REPLAYED : ORDER_KEY_REUSED;
    c->order.id = first->order.id;
    c->order.created_ms = first->order.created_ms;
}

static void answer_creation(const struct creation *c) {
    struct buf receipt = {0};
    switch (c->store.outcome) {
    case ORDER_KEY_REUSED:
        reply_key_reused(c->request);
        break;
    case ORDER_REFERENCE_TAKEN:
        http_reply_problem(c->request, PROBLEM_REFERENCE_TAKEN, "You have another order with this reference");
        break;
    case ORDER_CREATED:
        http_spend(c->request);
        __attribute__((fallthrough));
    case ORDER_REPLAYED:
        order_receipt_json(&receipt, &c->order);
        if (receipt.failed)
            c->request->arena.failed = true;
        else
            reply_receipt(c->request, receipt.data, receipt.len, c->store.outcome == ORDER_REPLAYED);
        buf_free(&receipt);
        break;
    case ORDER_KEY_FREE:
        if (c->over) {
            http_refuse_reserved(c->request);
            break;
        }
        __attribute__((fallthrough));
    case ORDER_UNDECIDED:
    case ORDER_KEY_TAKEN:
    case ORDER_KEY_BUSY:
        http_reply_problem(c->request, PROBLEM_IDEMPOTENCY_CONFLICT,
                           "A request with the same key is in progress");
        break;
    }
}

/* Answers those that are decided. Moves the others to the front and returns how many they are. */
static size_t answer_decided(struct creation *creations[], size_t n) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_decided(creations[i]))
            answer_creation(creations[i]);
        else
            creations[left++] = creations[i];
    }
    return left;
}

/* Whether the answer is a receipt that the next replay may be given. */
static bool is_receipt(const struct creation *c) {
    return !c->original && c->store.key && c->place.known && is_decided(c) &&
           c->request->reply.status == 201 && !c->request->arena.failed;
}

/* Lets Redis answer the next replays of these keys. Not if the database was replaced after the requests came. */
static void remember(struct http_worker *worker, struct creation *const creations[], size_t n) {
    struct order_receipt receipts[HTTP_BATCH_MAX];
    uint8_t database[DB_IDENTITY_SIZE];
    size_t count = 0;
    bool known = db_identity_of(worker->db, database);
    for (size_t i = 0; i < n && known; i++) {
        const struct creation *c = creations[i];
        const struct buf *body = &c->request->reply.body;
        if (is_receipt(c) && memcmp(c->place.database, database, sizeof database) == 0)
            receipts[count++] = (struct order_receipt){.cache_key = c->place.cache_key,
                                                       .fingerprint = c->store.fingerprint,
                                                       .body = body->data,
                                                       .len = body->len,
                                                       .expires_ms = c->store.expires_ms};
    }
    order_receipts_put(worker->cache, receipts, count);
}

/* Creates the orders whose keys are free, and answers them and their duplicates: they are committed, whatever fails
 * later. *left receives how many are not decided. */
static enum db_status create_orders(struct db *db, struct creation *creations[], size_t n, size_t *left) {
    struct order_creation *go[HTTP_BATCH_MAX];
    size_t count = choose_originals(creations, n, go);
    enum db_status status = count ? order_store_create(db, go, count) : DB_OK;
    if (status == DB_LOCK_TIMEOUT && n == 1 && db_waited_for_row(db, "idempotency_keys")) {
        creations[0]->store.outcome = ORDER_KEY_BUSY;
        status = DB_OK;
    }
    if (status == DB_OK)
        http_let_next(creations[0]->request);
    for (size_t i = 0; i < n && status == DB_OK; i++)
        if (creations[i]->original)
            settle_duplicate(creations[i]);
    *left = status == DB_OK ? answer_decided(creations, n) : n;
    return status;
}

static size_t count_created(struct creation *const creations[], size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += creations[i]->store.outcome == ORDER_CREATED;
    return count;
}

/* PostgreSQL decides what is new, and Redis knows most of what is not. While PostgreSQL is away, Redis is asked first: it
 * still answers replays. */
enum outcome orders_post_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct order_app *app = worker->app;
    struct creation *all[HTTP_BATCH_MAX], *open[HTTP_BATCH_MAX]; /* those that are not answered yet */
    bool connected = db_is_connected(worker->db);
    enum db_status status = DB_OK;
    size_t left = n;
    for (size_t i = 0; i < n; i++) {
        all[i] = open[i] = requests[i]->command;
        all[i]->store.outcome = ORDER_UNDECIDED;
    }
    if (!connected)
        left = answer_from_redis(app, worker->cache, open, left);
    for (int round = 0; round < 2 && left && status == DB_OK; round++) { /* again for keys that were freed */
        status = create_orders(worker->db, open, left, &left);
        if (connected && round == 0)
            left = answer_from_redis(app, worker->cache, open, left);
        if (status == DB_OK)
            status = find_taken(worker->db, open, left);
        if (status == DB_OK)
            left = answer_decided(open, left);
    }
    for (size_t i = 0; i < left && status == DB_OK; i++)
        answer_creation(open[i]);
    size_t created = count_created(all, n);
    metric_add(app->series.created, (int64_t)created);
    if (created) {
        outbox_wake(app->outbox);
        feed_wake(app->feed);
    }
    remember(worker, all, n);
    standby_mark(worker, requests, n);
    return db_outcome(status);
}
