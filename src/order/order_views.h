/* What Redis holds of orders: the answers to replays (order:create:*) and the views of orders (order:view:*),
 * and what of that the process remembers. None of it ever changes; all of it may be missing at any time. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/cache/cache.h"
#include "common/base/memory_cache.h"
#include "order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_RECEIPT_KEY_SIZE (sizeof "order:create:" + 2 * SHA256_SIZE)

/* The key of the answer that belongs to a client's idempotency key, in memory and in Redis. Hashed: no pair
 * can stand for another. False when out of memory. */
bool order_receipt_key(const char *client_id, const char *key, uint8_t hash[static SHA256_SIZE],
                       char out[static ORDER_RECEIPT_KEY_SIZE]) MUST_CHECK;

struct order_receipt { /* an answer to POST /orders */
    const char *cache_key;
    const uint8_t *fingerprint;
    const char *body;
    size_t len;
    int64_t expires_ms;
};

/* A receipt as Redis keeps it; false when it cannot be one. body borrows from value. */
bool order_receipt_parse(const char *value, size_t len, uint8_t fingerprint[static SHA256_SIZE],
                         const char **body, size_t *body_len) MUST_CHECK;

struct order_view { /* an answer to GET /orders/:id */
    int64_t version;
    const char *client_id;
    const char *body;
    size_t len;
};

/* order_memory_*: any thread. The others work with Redis: on a worker's thread only. */

/* A view, in arena; false when there is none. */
bool order_memory_find_view(struct memory_cache *memory, const struct uuid *id, struct arena *arena,
                            struct order_view *out) MUST_CHECK;

/* Looks up views, and remembers those there are for ttl_ms; out[i].body is NULL where there is none. False
 * when out of memory. */
bool order_cache_find_views(struct cache *cache, struct memory_cache *memory, const struct uuid ids[],
                            size_t n, int64_t ttl_ms, struct arena *arena,
                            struct order_view out[]) MUST_CHECK;

/* Write receipts, and views by version: an older view never replaces a newer one. Only the views of DELIVERED
 * orders are kept: a view of an order that still moves may be out of date where Redis was out of reach when
 * it moved, and a reader would see the status go back. Failures are logged once per outage. */
void order_cache_put_receipts(struct cache *cache, const struct order_receipt receipts[], size_t n);
void order_cache_put_views(struct cache *cache, struct memory_cache *memory,
                           const struct order *const orders[], size_t n, int64_t ttl_ms);

/* Logs that Redis has gone away, once per outage. */
void order_cache_note_failure(struct cache *cache);
