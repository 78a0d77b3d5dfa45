/* The SQL of erasing a customer, a batch of orders at a time. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/events/outbox_rows.h"
#include "order.h"

#include <stddef.h>

#define ERASURE_BATCH 100 /* maximum of orders in a transaction */

/* Who is erased: the orders that a customer has with a client. Text is borrowed. */
struct erasure {
    const char *customer_id, *client_id;
    const char *replacement;
    const char *actor;
};

struct erasure_idempotency_key {
    const char *client_id, *key;
};

/* Orders whose customer was replaced, as they are now, and the idempotency keys that led to them. It is all in an arena. */
struct erasure_batch {
    struct order *orders;
    size_t count;
    struct erasure_idempotency_key *keys;
    size_t key_count;
    size_t seen; /* orders of the customer that were there to be replaced: 0 when all is done */
};

/* The first of the clients with whom the customer has orders, in arena; NULL when there is none. client_id: only this
 * one; NULL: any. */
enum db_status erasure_store_client(struct db *db, const char *customer_id, const char *client_id,
                                    struct arena *arena, const char **found) MUST_CHECK;

/* Replaces the customer in up to ERASURE_BATCH orders and in all that belongs to them, tells delivery-svc, and counts them in
 * the table erasures, in one transaction. A busy status (db_is_busy), or seen without count, means that others hold what it
 * needs: it never waits for those who might wait for it. Try again a little later, with another arena. */
enum db_status erasure_store_replace(struct db *db, const struct erasure *erasure, struct arena *arena,
                                     struct erasure_batch *batch) MUST_CHECK;

/* Adds the event that tells delivery-svc of the order's new customer. The request that made the order is long over, so the
 * correlation id is the order's id, and the trace is new. payload is for its use alone. */
void erasure_add_event(struct outbox_rows *rows, struct buf *payload, const struct order *order,
                       const char *traceparent);

/* Redis has no receipts of the batch any more, so their hashes may go. */
enum db_status erasure_store_forget(struct db *db, struct erasure_batch *batch) MUST_CHECK;

/* All that is left of the customer's name is in caches, and has been seen to. */
enum db_status erasure_store_finish(struct db *db, const char *replacement) MUST_CHECK;

/* The replacement and the client of an erasure that was not finished: it runs somewhere, or was interrupted. In arena; the
 * replacement is NULL when there is none behind this one ("": from the start). */
enum db_status erasure_store_unfinished(struct db *db, const char *behind, struct arena *arena,
                                        struct erasure *erasure) MUST_CHECK;

/* The orders behind an id that were erased with this replacement, ERASURE_BATCH at most, in the order of their ids. */
enum db_status erasure_store_erased(struct db *db, const struct erasure *erasure, const struct uuid *behind,
                                    struct arena *arena, struct erasure_batch *batch) MUST_CHECK;
