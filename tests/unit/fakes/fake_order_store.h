/* PostgreSQL as POST /orders sees it, by hand. Include after cmocka.h and fake_cache.h, in one file of a test. */
#pragma once

#include "common/db/identity.h"
#include "fake_cache.h"
#include "fake_http.h"
#include "order/order_store.h"

#include <string.h>

enum { KEY_LIFE_MS = 86400000 };

/* PostgreSQL: what it knows of keys, what it is asked, and what becomes of that. */
static struct {
    bool connected;
    struct db_identity *identity; /* of what the worker's connection leads to */
    enum db_status create_status, find_status;
    bool key_is_taken;             /* every key */
    const char *taken_key;         /* another one that is */
    enum order_outcome taken_by;   /* what find_taken says of those that are */
    struct order first;            /* of the keys that are taken */
    const uint8_t *fingerprint;    /* its payload; NULL: that of every request */
    size_t creates, finds, orders; /* calls, and orders that were made */
    size_t create_count;           /* of the last create */
    bool waited_for_key;           /* after a lock timeout */
    size_t asks_before;            /* of Redis, when create was called */
    size_t let_before;             /* further batches, when it was called */
} store;

bool db_is_connected(const struct db *db) {
    (void)db;
    return store.connected;
}

bool db_identity_of(const struct db *db, uint8_t out[static DB_IDENTITY_SIZE]) {
    (void)db;
    return db_identity_get(store.identity, out);
}

bool db_waited_for_row(const struct db *db, const char *relation) {
    (void)db;
    assert_string_equal(relation, "idempotency_keys");
    return store.waited_for_key;
}

enum outcome db_outcome(enum db_status status) {
    static const enum outcome outcomes[] = {
        [DB_OK] = OUTCOME_DONE, [DB_UNAVAILABLE] = OUTCOME_UNAVAILABLE, [DB_FAILED] = OUTCOME_FAILED};
    return db_is_busy(status) ? OUTCOME_BUSY : outcomes[status];
}

/* They must be sorted, and no key may be there twice: else workers would wait for each other, or for themselves. */
static inline void assert_creations(struct order_creation *const creations[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        assert_non_null(creations[i]->event);
        if (i == 0 || !creations[i]->key || !creations[i - 1]->key)
            continue;
        int clients = strcmp(creations[i - 1]->order->client_id, creations[i]->order->client_id);
        assert_true(clients < 0 || (clients == 0 && strcmp(creations[i - 1]->key, creations[i]->key) < 0));
    }
}

enum db_status order_store_create(struct db *db, struct order_creation *const creations[], size_t n) {
    (void)db;
    assert_creations(creations, n);
    store.creates++;
    store.create_count = n;
    store.asks_before = redis.asks;
    store.let_before = batches_let;
    for (size_t i = 0; store.create_status == DB_OK && i < n; i++) {
        const char *key = creations[i]->key;
        bool taken = key && (store.key_is_taken || (store.taken_key && strcmp(key, store.taken_key) == 0));
        creations[i]->outcome = taken ? ORDER_KEY_TAKEN : ORDER_CREATED;
        store.orders += !taken;
    }
    return store.create_status;
}

enum db_status order_store_find_taken(struct db *db, struct order_creation *const creations[], size_t n) {
    (void)db;
    store.finds++;
    for (size_t i = 0; store.find_status == DB_OK && i < n; i++) {
        assert_int_equal(creations[i]->outcome, ORDER_KEY_TAKEN);
        bool same =
            !store.fingerprint || memcmp(creations[i]->fingerprint, store.fingerprint, SHA256_SIZE) == 0;
        creations[i]->outcome = same ? store.taken_by : ORDER_KEY_REUSED;
        store.key_is_taken &= store.taken_by != ORDER_KEY_FREE;
        if (creations[i]->outcome != ORDER_REPLAYED)
            continue;
        creations[i]->order->id = store.first.id;
        creations[i]->order->total = store.first.total;
        creations[i]->order->created_ms = store.first.created_ms;
        creations[i]->expires_ms = store.first.created_ms + KEY_LIFE_MS;
    }
    return store.find_status;
}
