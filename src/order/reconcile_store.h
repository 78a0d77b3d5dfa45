/* The SQL of publishing ORDER_CREATED again, or ORDER_CANCEL_REQUESTED where the order is to be
 * cancelled. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/db/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECONCILE_LIMIT 100 /* maximum of orders per pass */

/* What the reconciler sees. Times are on the database's clock. */
struct reconcile_sight {
    bool on_their_way;    /* some order is not done: not DELIVERED, nor CANCELLED and asked for once more */
    int64_t published_ms; /* all events of the outbox from before were published */
    int64_t now_ms;
};

struct reconcile_walks {
    struct db_walk
        on_their_way; /* along the times since when orders are silent, to the first one that is not done */
    struct db_walk waiting; /* along the ids of the outbox, to the first row */
};

enum db_status reconcile_store_look(struct db *db, struct reconcile_walks *walks,
                                    struct reconcile_sight *out) MUST_CHECK;

/* Which orders to publish again: silent for at least at_least_ms and at most at_most_ms, and since before before_ms on
 * the database's clock. */
struct reconcile_span {
    int64_t at_least_ms, at_most_ms;
    int64_t before_ms;
    int64_t now_ms;       /* as reconcile_store_look told it */
    struct db_walk *walk; /* through the orders of such a span */
};

/* Publishes their event again, in a transaction of its own, for orders of the span that are not done and not
 * locked by another replica, RECONCILE_LIMIT at most. *announced receives how many. No event of such an order waits in
 * the outbox. Each becomes silent for after_ms again after as much time as has passed since its last change, a day at
 * most. */
enum db_status reconcile_store_announce(struct db *db, const struct reconcile_span *span, int64_t after_ms,
                                        size_t *announced) MUST_CHECK;
