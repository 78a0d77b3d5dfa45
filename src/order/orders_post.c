/* POST /orders: from the JSON body to a durable order, in batches. */
#include "orders.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/base/json.h"
#include "common/events/outbox.h"
#include "order_cache.h"
#include "order_json.h"
#include "order_store.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 255 };

/* What becomes of a request between prepare and the answer. */
struct creation {
    struct order_creation store; /* must stay first */
    struct order order;
    struct http_request *request;
    uint8_t key_hash[SHA256_SIZE];
    uint8_t body_hash[SHA256_SIZE];
    char cache_key[ORDER_RECEIPT_KEY_SIZE];
    size_t asked;                    /* which of the values that Redis is asked for is its */
    const struct creation *original; /* another request of the batch with the same key that goes first */
};

static bool reply_no_memory(struct http_request *request) {
    http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
    return false;
}

/* The client's key without its quotes (RFC 8941 string, or bare as many clients send it), as "k:<key>"; false
 * when it was refused, and answered. *key stays NULL when there is none. */
static bool read_key(struct http_request *request, const char **key) {
    const char *header = http_header(request, "Idempotency-Key");
    unsigned count = http_header_count(request, "Idempotency-Key");
    if (count == 0)
        return true;
    size_t len = strlen(header);
    bool quoted = len >= 2 && header[0] == '"' && header[len - 1] == '"';
    const char *text = quoted ? header + 1 : header;
    len -= quoted ? 2 : 0;
    bool valid = count == 1 && len >= 1 && len <= KEY_MAX;
    for (size_t i = 0; valid && i < len; i++)
        valid = text[i] > ' ' && text[i] <= '~' && text[i] != '"' && !(quoted && text[i] == '\\');
    if (!valid) {
        http_reply_problem(request, "VALIDATION_ERROR",
                           "Send one Idempotency-Key of 1 to %d visible ASCII characters", KEY_MAX);
        return false;
    }
    char *copy = arena_alloc(&request->arena, len + 3);
    if (!copy)
        return reply_no_memory(request);
    memcpy(copy, "k:", 2);
    memcpy(copy + 2, text, len);
    *key = copy;
    return true;
}

/* Where the answer to a request with this key is kept. */
static bool find_places(struct http_request *request, struct creation *c) {
    return order_receipt_key(request->claims.client_id, c->store.key, c->key_hash, c->cache_key) ||
           reply_no_memory(request);
}

/* A request without a key has its content for one, unless that is switched off. */
static bool use_fingerprint(struct http_request *request, struct creation *c) {
    char *key = arena_alloc(&request->arena, 2 + 2 * SHA256_SIZE + 1);
    if (!key)
        return reply_no_memory(request);
    memcpy(key, "f:", 2);
    hex_encode(c->store.fingerprint, SHA256_SIZE, key + 2);
    c->store.key = key;
    return find_places(request, c);
}

static bool has_key_of_client(const struct creation *c) {
    return c->store.key && c->store.key[0] == 'k';
}

/* The id of the order that a receipt is for. */
static void read_receipt_id(const char *body, char id[static UUID_TEXT_SIZE]) {
    memcpy(id, body + sizeof ORDER_RECEIPT_START - 1, UUID_TEXT_SIZE - 1);
    id[UUID_TEXT_SIZE - 1] = '\0';
}

static void reply_receipt(struct http_request *request, const char *body, size_t len, bool replayed) {
    struct buf copy = {0};
    char id[UUID_TEXT_SIZE];
    buf_append(&copy, body, len);
    read_receipt_id(body, id);
    http_reply_json(request, 201, &copy);
    http_reply_header(request, "Location", "/orders/%s", id);
    if (replayed)
        http_reply_header(request, "Idempotent-Replayed", "true");
}

static void reply_key_reused(struct http_request *request) {
    http_reply_problem(request, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another order");
}

/* Whether the process itself knows the answer, which is given then: to a body that is the same in each byte.
 * What it remembers is the hash of that, and the receipt. */
static bool answer_from_memory(struct http_request *request, struct creation *c) {
    const struct order_app *app = request->app;
    struct buf value = {0};
    sha256(request->body.data, request->body.len, c->body_hash);
    bool known = memory_cache_get(app->memory, c->key_hash, clock_epoch_ms(), &value) &&
                 memcmp(value.data, c->body_hash, SHA256_SIZE) == 0;
    if (known)
        reply_receipt(request, value.data + SHA256_SIZE, value.len - SHA256_SIZE, true);
    buf_free(&value);
    return known;
}

/* What the order is before it is known to be new. */
static bool begin_order(struct http_request *request, struct creation *c) {
    const struct order_app *app = request->app;
    c->request = request;
    c->store.order = &c->order;
    c->order.client_id = request->claims.client_id;
    c->order.created_ms = c->order.updated_ms = clock_epoch_ms();
    c->store.expires_ms = c->order.created_ms + (c->store.key ? app->config->idempotency_ttl
                                                              : app->config->idempotency_fingerprint_ttl);
    return order_fingerprint(&c->order, c->store.fingerprint);
}

/* The rest that does not come from the body. */
static bool complete_order(struct http_request *request, struct creation *c) {
    struct buf event = {0};
    c->order.id = uuid_new();
    c->order.version = 1;
    c->store.event_id = uuid_new();
    c->store.request_id = request->request_id;
    c->store.traceparent = request->traceparent;
    order_created_json(&event, &c->order, &c->store.event_id);
    c->store.event = event.failed ? NULL : arena_memdup(&request->arena, event.data, event.len);
    buf_free(&event);
    return c->store.event || reply_no_memory(request);
}

void orders_post_prepare(struct http_request *request) {
    const struct order_app *app = request->app;
    const char *client = request->claims.client_id;
    if (!http_within(request, limit_take(app->orders_limit, client, strlen(client), clock_mono_ms())) ||
        !http_expect_json(request))
        return;
    struct http_faults faults = {0};
    struct creation *c = arena_alloc(&request->arena, sizeof *c);
    if (!c) {
        (void)reply_no_memory(request);
        return;
    }
    if (!read_key(request, &c->store.key) ||
        (c->store.key && (!find_places(request, c) || answer_from_memory(request, c))))
        return;
    bool valid = order_from_json(request->body.data, request->body.len, &request->arena, &c->order, &faults);
    if (faults.count)
        http_reply_faults(request, &faults);
    else if (!valid || !begin_order(request, c))
        (void)reply_no_memory(request);
    else if (c->store.key || app->config->idempotency_fingerprint_ttl == 0 || use_fingerprint(request, c))
        request->command = complete_order(request, c) ? c : NULL;
}

/* Keeps a receipt that was asked for again for as long as its key lives: from the birth of its order. */
static void remember_receipt(struct memory_cache *memory, const struct creation *c, const char *body,
                             size_t len) {
    struct uuid id;
    char text[UUID_TEXT_SIZE];
    struct buf value = {0};
    read_receipt_id(body, text);
    if (!has_key_of_client(c) || !uuid_parse(text, &id))
        return;
    buf_append(&value, c->body_hash, SHA256_SIZE);
    buf_append(&value, body, len);
    if (!value.failed)
        memory_cache_put(memory, c->key_hash, value.data, value.len,
                         uuid_time_ms(&id) + c->store.expires_ms - c->order.created_ms);
    buf_free(&value);
}

/* Asks Redis for the receipts, and does not wait. */
static void ask_cache(struct cache *cache, struct creation *const creations[], size_t n) {
    const char *keys[BATCH_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        creations[i]->asked = count;
        if (creations[i]->store.key)
            keys[count++] = creations[i]->cache_key;
    }
    if (count && !cache_ask(cache, keys, count))
        order_cache_note_failure(cache);
}

static bool was_created(const struct creation *c) {
    return (c->original ? c->original : c)->store.outcome == ORDER_CREATED;
}

/* Of the requests that made no order, answers those whose receipt Redis knows; moves the others, and those
 * that made one, to the front and returns how many they are. */
static size_t answer_from_cache(struct cache *cache, struct memory_cache *memory,
                                struct creation *creations[], size_t n) {
    struct cache_values *values = cache_answer(cache);
    size_t left = 0;
    if (!values)
        order_cache_note_failure(cache);
    for (size_t i = 0; i < n; i++) {
        struct creation *c = creations[i];
        uint8_t fingerprint[SHA256_SIZE];
        const char *body = NULL, *value;
        size_t len = 0, body_len = 0;
        value = c->store.key && !was_created(c) ? cache_value(values, c->asked, &len) : NULL;
        if (!value || !order_receipt_parse(value, len, fingerprint, &body, &body_len)) {
            creations[left++] = c;
        } else if (memcmp(fingerprint, c->store.fingerprint, sizeof fingerprint) == 0) {
            remember_receipt(memory, c, body, body_len);
            reply_receipt(c->request, body, body_len, true);
        } else {
            reply_key_reused(c->request);
        }
    }
    cache_values_free(values);
    return left;
}

static int by_key(const void *left, const void *right) {
    const struct creation *a = *(const struct creation *const *)left,
                          *b = *(const struct creation *const *)right;
    int order = strcmp(a->order.client_id, b->order.client_id);
    if (order == 0)
        order = strcmp(a->store.key ? a->store.key : "", b->store.key ? b->store.key : "");
    return order ? order : uuid_compare(&a->order.id, &b->order.id);
}

/* Sorts by client and key, and lets one request of each key go first. Returns how many go. */
static size_t choose_originals(struct creation *creations[], size_t n, struct order_creation *go[]) {
    size_t count = 0;
    const struct creation *last = NULL;
    qsort(creations, n, sizeof *creations, by_key);
    for (size_t i = 0; i < n; i++) {
        struct creation *c = creations[i];
        bool same = last && c->store.key && last->store.key && strcmp(c->store.key, last->store.key) == 0 &&
                    strcmp(c->order.client_id, last->order.client_id) == 0;
        c->original = same ? last : NULL;
        if (!same) {
            go[count++] = &c->store;
            last = c;
        }
    }
    return count;
}

/* Answers a creation whose outcome (or its original's) is known. */
static void answer(struct creation *c) {
    const struct creation *first = c->original ? c->original : c;
    enum order_outcome outcome = first->store.outcome;
    if (c->original && outcome != ORDER_KEY_BUSY)
        outcome = outcome != ORDER_KEY_REUSED &&
                          memcmp(c->store.fingerprint, first->store.fingerprint, SHA256_SIZE) == 0
                      ? ORDER_REPLAYED
                      : ORDER_KEY_REUSED;
    if (outcome == ORDER_KEY_REUSED) {
        reply_key_reused(c->request);
    } else if (outcome == ORDER_KEY_BUSY) {
        http_reply_problem(c->request, "IDEMPOTENCY_CONFLICT", "A request with the same key is in progress");
    } else {
        struct buf receipt = {0};
        order_receipt_json(&receipt, &first->order);
        if (receipt.failed)
            (void)reply_no_memory(c->request);
        else
            reply_receipt(c->request, receipt.data, receipt.len, outcome == ORDER_REPLAYED);
        buf_free(&receipt);
    }
}

/* Lets Redis answer the next replays of these keys. */
static void remember(struct cache *cache, struct creation *const creations[], size_t n) {
    struct order_receipt receipts[BATCH_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct creation *c = creations[i];
        const struct buf *body = &c->request->reply.body;
        if (!c->original && c->store.key && c->request->reply.status == 201)
            receipts[count++] = (struct order_receipt){.cache_key = c->cache_key,
                                                       .fingerprint = c->store.fingerprint,
                                                       .body = body->data,
                                                       .len = body->len,
                                                       .expires_ms = c->store.expires_ms};
    }
    order_cache_put_receipts(cache, receipts, count);
}

/* Asks PostgreSQL for what Redis did not know. */
static enum db_status find_taken(struct db *db, struct creation *const creations[], size_t n) {
    struct order_creation *taken[BATCH_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (creations[i]->store.outcome == ORDER_KEY_TAKEN)
            taken[count++] = &creations[i]->store;
    return count ? order_store_find_taken(db, taken, count) : DB_OK;
}

/* PostgreSQL decides what is new. Redis is asked at the same time, and knows most of what is not: also while
 * there is no PostgreSQL, when it need not be waited for. */
enum db_status orders_post_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct order_app *app = worker->app;
    struct creation *creations[BATCH_LIMIT];
    struct order_creation *go[BATCH_LIMIT];
    bool connected = db_is_connected(worker->db);
    size_t left = n;
    for (size_t i = 0; i < n; i++)
        creations[i] = requests[i]->command;
    ask_cache(worker->cache, creations, n);
    if (!connected)
        left = answer_from_cache(worker->cache, app->memory, creations, left);
    if (left == 0)
        return DB_OK;
    size_t count = choose_originals(creations, left, go);
    enum db_status status = order_store_create(worker->db, go, count);
    if (status == DB_BUSY && left == 1 && creations[0]->store.key) {
        creations[0]->store.outcome = ORDER_KEY_BUSY; /* alone, it can only have waited for its key */
        status = DB_OK;
    }
    if (connected)
        left = answer_from_cache(worker->cache, app->memory, creations, left);
    if (status == DB_OK)
        status = find_taken(worker->db, creations, left);
    if (status != DB_OK)
        return status;
    for (size_t i = 0; i < left; i++)
        answer(creations[i]);
    outbox_wake(app->outbox);
    remember(worker->cache, creations, left);
    return DB_OK;
}
