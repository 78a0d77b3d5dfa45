/* Receipts: the answers to POST /orders, kept so that a replay gets the same bytes. Redis (order:create:*) has those of
 * all replicas, the process's memory those it was asked for again. Any of them may be missing at any time. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/digest.h"
#include "common/base/memory_cache.h"
#include "common/base/uuid.h"
#include "common/cache/cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the answer that belongs to a client's idempotency key is kept. Hashed: no pair can stand for another. */
struct order_receipt_place {
    uint8_t hash[SHA256_SIZE];                                /* in memory */
    char cache_key[sizeof "order:create:" + 2 * SHA256_SIZE]; /* in Redis */
};

/* False when out of memory. */
bool order_receipt_locate(struct order_receipt_place *place, const char *client_id,
                          const char *key) MUST_CHECK;

/* The id of the order that a receipt is for. */
void order_receipt_id(const char *body, char id[static UUID_TEXT_SIZE]);

/* A receipt from memory, for a request whose body is the same in each byte; false when there is none. *body points
 * into value. Any thread. */
bool order_receipt_recall(struct memory_cache *memory, const struct order_receipt_place *place,
                          const uint8_t body_hash[static SHA256_SIZE],
                          char value[static MEMORY_CACHE_VALUE_MAX], const char **body,
                          size_t *len) MUST_CHECK;

/* Keeps a receipt in memory until life_ms after the birth of its order. Any thread. */
void order_receipt_remember(struct memory_cache *memory, const struct order_receipt_place *place,
                            const uint8_t body_hash[static SHA256_SIZE], const char *body, size_t len,
                            int64_t life_ms);

/* A receipt as Redis keeps it; false when it cannot be one. body borrows from value. */
bool order_receipt_parse(const char *value, size_t len, uint8_t fingerprint[static SHA256_SIZE],
                         const char **body, size_t *body_len) MUST_CHECK;

struct order_receipt {
    const char *cache_key;
    const uint8_t *fingerprint;
    const char *body;
    size_t len;
    int64_t expires_ms;
};

/* Writes receipts to Redis, and does not wait for its answer. On the thread of the cache. */
void order_receipts_put(struct cache *cache, const struct order_receipt receipts[], size_t n);
