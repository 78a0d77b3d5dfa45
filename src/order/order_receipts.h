/* Receipts: the answers to POST /orders. They are kept so that a replay gets the same bytes. Redis (order:create:*)
 * has those of all replicas. The process's memory has those it was asked for again. Any receipt may be missing at
 * any time. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/digest.h"
#include "common/base/memory_cache.h"
#include "common/base/uuid.h"
#include "common/cache/cache.h"
#include "common/db/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the answer that belongs to a client's idempotency key is kept, of one identity of the database: after a
 * failover or a restore nobody finds the receipt of an order that may be lost. Hashed: no pair can stand for another. */
struct order_receipt_place {
    bool known; /* the database has told its identity; else there is no place, and no receipt */
    uint8_t database[DB_IDENTITY_SIZE];
    uint8_t hash[SHA256_SIZE];                                /* in memory */
    char cache_key[sizeof "order:create:" + 2 * SHA256_SIZE]; /* in Redis */
};

/* What a key begins with that was replaced by its hash: the rest is that of the place. No client's key begins so. */
#define ORDER_RECEIPT_HASHED "h:"

/* False when out of memory. */
bool order_receipt_locate(struct order_receipt_place *place, struct db_identity *identity,
                          const char *client_id, const char *key) MUST_CHECK;

/* The id of the order that a receipt is for. */
void order_receipt_id(const char *body, char id[static UUID_TEXT_SIZE]);

/* Looks up a receipt in memory, for a request with the same body byte for byte. False when there is none. *body
 * points into value. Any thread. */
bool order_receipt_recall(struct memory_cache *memory, const struct order_receipt_place *place,
                          const uint8_t body_hash[static SHA256_SIZE],
                          char value[static MEMORY_CACHE_VALUE_MAX], const char **body,
                          size_t *len) MUST_CHECK;

/* Keeps a receipt in memory until life_ms after its order was created. Any thread. */
void order_receipt_remember(struct memory_cache *memory, const struct order_receipt_place *place,
                            const uint8_t body_hash[static SHA256_SIZE], const char *body, size_t len,
                            int64_t life_ms);

/* Reads a value of Redis. False when it is not a receipt. *body points into value. */
bool order_receipt_parse(const char *value, size_t len, uint8_t fingerprint[static SHA256_SIZE],
                         const char **body, size_t *body_len) MUST_CHECK;

struct order_receipt {
    const char *cache_key;
    const uint8_t *fingerprint;
    const char *body;
    size_t len;
    int64_t expires_ms;
};

/* Writes receipts to Redis and does not wait for the response. Only on the thread that owns cache. */
void order_receipts_put(struct cache *cache, const struct order_receipt receipts[], size_t n);
