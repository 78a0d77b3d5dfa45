/* The series of order-svc's own metrics. */
#include "series.h"

static struct order_lookups lookups(const char *cache, const char *tier) {
    return (struct order_lookups){
        .hit = metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS(cache, tier, "hit")),
        .miss = metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS(cache, tier, "miss"))};
}

void order_series_make(struct order_series *out) {
    *out = (struct order_series){
        .created = metric_series(METRIC_ORDERS_CREATED, NULL),
        .status_delay = metric_series(METRIC_STATUS_DELAY, NULL),
        .repeated_orders = metric_series(METRIC_REPEATED, METRIC_LABELS("ORDER_CREATED")),
        .repeated_revocations = metric_series(METRIC_REPEATED, METRIC_LABELS("TOKEN_REVOKED")),
        .repeated_erasures = metric_series(METRIC_REPEATED, METRIC_LABELS("CUSTOMER_ERASED")),
        .webhooks_delivered = metric_series(METRIC_WEBHOOK_ATTEMPTS, METRIC_LABELS("delivered")),
        .webhooks_failed = metric_series(METRIC_WEBHOOK_ATTEMPTS, METRIC_LABELS("failed")),
        .webhooks_given_up = metric_series(METRIC_WEBHOOK_ATTEMPTS, METRIC_LABELS("given_up")),
        .feed_streams = metric_series(METRIC_FEED_READERS, METRIC_LABELS("stream")),
        .feed_polls = metric_series(METRIC_FEED_READERS, METRIC_LABELS("long_poll")),
        .feed_events = metric_series(METRIC_FEED_EVENTS, NULL),
        .receipts_memory = lookups("receipts", "memory"),
        .receipts_redis = lookups("receipts", "redis"),
        .views_memory = lookups("views", "memory"),
        .views_redis = lookups("views", "redis"),
    };
    for (enum order_cancellation state = ORDER_CANCEL_REQUESTED; state < ORDER_CANCELLATIONS; state++)
        out->cancellations[state] =
            metric_series(METRIC_CANCELLATIONS, METRIC_LABELS(order_cancellation_name(state)));
    for (enum order_status status = ORDER_SHIPPED; status < ORDER_STATUSES; status++)
        out->moved[status] = metric_series(METRIC_ORDERS_MOVED, METRIC_LABELS(order_status_name(status)));
}
