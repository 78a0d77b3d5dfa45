/* Views of orders: the answers to GET /orders/:id, as Redis (order:view:*) and the process's memory keep them. Any of
 * them may be missing at any time.
 *
 * Only the views of DELIVERED orders are kept, as they never change. A view of an order that still moves may be out
 * of date where Redis was out of reach when it moved, and a reader would see the status go back. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/memory_cache.h"
#include "common/cache/cache.h"
#include "order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order_view {
    int64_t version;
    const char *client_id; /* whose order it is */
    const char *body;
    size_t len;
};

/* A view from memory, in arena; false when there is none. Any thread. */
bool order_view_recall(struct memory_cache *memory, const struct uuid *id, struct arena *arena,
                       struct order_view *out) MUST_CHECK;

/* Looks up views in Redis, and remembers those there are for ttl_ms; out[i].body is NULL where there is none. False
 * when out of memory. On a worker's thread. */
bool order_views_find(struct cache *cache, struct memory_cache *memory, const struct uuid ids[], size_t n,
                      int64_t ttl_ms, struct arena *arena, struct order_view out[]) MUST_CHECK;

/* Writes the views of those orders that are DELIVERED. On the thread of the cache. */
void order_views_put(struct cache *cache, struct memory_cache *memory, const struct order *const orders[],
                     size_t n, int64_t ttl_ms);
