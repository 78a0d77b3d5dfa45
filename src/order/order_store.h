/* The SQL of orders. It creates, reads and changes many at once. Connections and statuses are those of
 * common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "order.h"
#include "order_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Succeeds when orders can be written: the table exists and the server is not a standby. */
extern const struct db_query order_store_probe;

enum order_outcome {
    ORDER_UNDECIDED,
    ORDER_CREATED,
    ORDER_KEY_TAKEN, /* its key or reference is known: order_store_find_taken tells what they stand for */
    ORDER_REPLAYED, /* its key stands for the same payload: order has id, total, created_ms and currency of it */
    ORDER_KEY_REUSED,      /* its key stands for another payload */
    ORDER_KEY_BUSY,        /* another request with its key is in progress */
    ORDER_REFERENCE_TAKEN, /* another order of the client has its reference; its key stands for nothing */
    ORDER_KEY_FREE,        /* its key stood for nothing any more, and was removed: create it again */
};

struct order_creation {
    struct order *order;
    const char *key; /* unique per client_id of the order; NULL: the order is always created */
    uint8_t fingerprint[SHA256_SIZE];
    int64_t expires_ms; /* of the key */
    struct uuid event_id;
    const char *event; /* ORDER_CREATED as JSON */
    const char *request_id, *traceparent;
    char currency[4];           /* of the order that its key stands for */
    enum order_outcome outcome; /* out */
};

/* Creates the orders whose keys and references are not taken, with their keys, events and history, in one transaction. They are durable on
 * DB_OK. No two creations may have the same client and key. The creations must be sorted by client and key, so that
 * workers cannot deadlock. DB_LOCK_TIMEOUT may mean that another transaction held one of the keys for too long. */
enum db_status order_store_create(struct db *db, struct order_creation *const creations[],
                                  size_t n) MUST_CHECK;

/* Finds out what the taken keys and references stand for: replayed, reused, reference taken, or free. Several may have the same client and key. */
enum db_status order_store_find_taken(struct db *db, struct order_creation *const creations[],
                                      size_t n) MUST_CHECK;

struct order_wanted {
    struct uuid id;
    const char *client_id; /* whose order it must be; NULL: any client's */
    struct order *order;   /* out: in arena; NULL when there is none */
};

/* Reads orders with their items, all of them in one statement. */
enum db_status order_store_find(struct db *db, struct order_wanted wanted[], size_t n,
                                struct arena *arena) MUST_CHECK;

struct order_change { /* a place in the sequence of orders by their last change */
    int64_t ms;
    struct uuid id;
};

struct order_page {
    const char *client_id, *customer_id; /* NULL: any */
    const enum order_status *status;     /* NULL: any */
    const struct uuid *before;           /* only older ones; NULL: from the newest */
    size_t limit;
    const char *reference;                    /* NULL: any */
    const int64_t *created_after;             /* milliseconds; NULL: any time */
    const int64_t *created_before;            /* milliseconds; NULL: any time */
    const struct order_change *changed_after; /* those that changed last come last; NULL: newest first */
};

/* Reads a page of orders with their items, newest first. *orders is in arena. With changed_after, before is not used. A page
 * that is newest first, and not asked for by reference, may go beyond created_after and begin ORDER_SPREAD_MS before
 * created_before: order_page_has (order_page.h) tells what belongs to it. */
enum db_status order_store_list(struct db *db, const struct order_page *page, struct arena *arena,
                                struct order **orders, size_t *count) MUST_CHECK;

/* Locks and reads the orders that exist, sorted by id (binary). ids may repeat. Only within a transaction, as its first
 * statement: so its number, and the positions of its history, are behind those of all that changed these orders before. */
enum db_status order_store_lock(struct db *db, const struct uuid ids[], size_t n, struct arena *arena,
                                struct order **orders, size_t *count) MUST_CHECK;

/* Writes status, tracking number, carrier, cancellation, version and times of orders, and the events that tell of it, in their
 * order. Only within the transaction that locked them, and once. */
enum db_status order_store_update(struct db *db, const struct order *const orders[], size_t n,
                                  const struct order_event events[], size_t event_count) MUST_CHECK;
