/* Views of orders: the answers to GET /orders/:id. Redis (order:view:*) and the process's memory keep them. Any
 * view may be missing at any time.
 *
 * Only views of orders that are DELIVERED or CANCELLED are kept, because their status never changes. Any other view could
 * become stale when Redis is unavailable while the order changes. A reader would then see the status go back. The tracking
 * number and carrier may still be corrected. Then other replicas may show the old ones for ttl_ms. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/memory_cache.h"
#include "common/cache/cache.h"
#include "common/db/identity.h"
#include "order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order_view {
    int64_t version;
    int64_t until_ms;      /* by the writer's clock: nobody keeps it for longer, wherever it was found */
    const char *client_id; /* the owner of the order */
    const char *body;
    size_t len;
};

/* Where they are kept: of one identity of the database, so that nobody sees an order that a failover lost. */
struct order_views {
    struct cache *cache; /* of the thread */
    struct memory_cache *memory;
    struct db_identity *identity;
    int64_t ttl_ms;
};

/* A view from memory, in arena; false when there is none. Any thread; needs no cache. */
bool order_view_recall(const struct order_views *views, const struct uuid *id, struct arena *arena,
                       struct order_view *out) MUST_CHECK;

/* Looks up views in Redis, and remembers those there are; out[i].body is NULL where there is none. False when out of
 * memory. */
bool order_views_find(const struct order_views *views, const struct uuid ids[], size_t n, struct arena *arena,
                      struct order_view out[]) MUST_CHECK;

/* Writes the views of those orders that are DELIVERED or CANCELLED, as they are in the database of this identity. False when
 * Redis did not take all of them. */
bool order_views_put(const struct order_views *views, const uint8_t database[static DB_IDENTITY_SIZE],
                     const struct order *const orders[], size_t n);
