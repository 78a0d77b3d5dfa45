/* Views of orders: the answers to GET /orders/:id. Redis (order:view:*) and the process's memory keep them. Any
 * view may be missing at any time.
 *
 * Only views of DELIVERED orders are kept, because they never change. Any other view could become stale when Redis
 * is unavailable while the order changes. A reader would then see the status go back. */
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
    const char *client_id; /* the owner of the order */
    const char *body;
    size_t len;
};

/* Looks up a view in memory. *out is in arena. False when there is none. Any thread. */
bool order_view_recall(struct memory_cache *memory, const struct uuid *id, struct arena *arena,
                       struct order_view *out) MUST_CHECK;

/* Looks up views in Redis, and keeps those it finds in memory for ttl_ms. out[i].body is NULL where there is none.
 * False when out of memory. Only on the thread that owns cache. */
bool order_views_find(struct cache *cache, struct memory_cache *memory, const struct uuid ids[], size_t n,
                      int64_t ttl_ms, struct arena *arena, struct order_view out[]) MUST_CHECK;

/* Writes the views of those orders that are DELIVERED to Redis and to memory. Only on the thread that owns
 * cache. */
void order_views_put(struct cache *cache, struct memory_cache *memory, const struct order *const orders[],
                     size_t n, int64_t ttl_ms);
