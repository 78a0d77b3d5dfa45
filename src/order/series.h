/* What order-svc counts of its own. */
#pragma once

#include "common/metrics/metrics.h"
#include "order.h"

#include <stdbool.h>

/* Questions to one cache in one place. */
struct order_lookups {
    struct metric_series *hit, *miss;
};

struct order_series {
    struct metric_series *moved[ORDER_STATUSES];              /* by the status that was reached */
    struct metric_series *cancellations[ORDER_CANCELLATIONS]; /* by their state */
    struct metric_series *created, *status_delay, *repeated_orders, *repeated_revocations, *repeated_erasures;
    struct metric_series *webhooks_delivered, *webhooks_failed, *webhooks_given_up; /* deliveries */
    struct metric_series *feed_streams, *feed_polls, *feed_events;
    struct order_lookups receipts_memory, receipts_redis, views_memory, views_redis;
};

void order_series_make(struct order_series *out);

static inline void order_lookup_count(const struct order_lookups *lookups, bool hit) {
    metric_add(hit ? lookups->hit : lookups->miss, 1);
}
