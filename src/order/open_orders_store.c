/* Counting open orders, by an index that has nothing else, and up to a limit; and the lag of the feed. */
#include "open_orders_store.h"

#include "common/base/clock.h"
#include "common/metrics/metrics.h"
#include "event_store.h"

static void show(const char *status, int64_t orders) {
    metric_set(metric_series(METRIC_ORDERS_BY_STATUS, METRIC_LABELS(status)), orders);
}

static void show_oldest(const struct db_result *result) {
    struct uuid id = db_uuid(result, 0, 2);
    int64_t age_ms = db_is_null(result, 0, 2) ? 0 : clock_epoch_ms() - uuid_time_ms(&id);
    metric_set(metric_series(METRIC_OLDEST_PENDING, NULL), (age_ms > 0 ? age_ms : 0) * 1000000);
}

static enum db_status observe_feed(struct db *db) {
    int64_t age_ms;
    enum db_status status = event_store_held_back(db, &age_ms);
    if (status == DB_OK)
        metric_set(metric_series(METRIC_FEED_HELD_BACK, NULL), age_ms * 1000000);
    return status;
}

enum db_status observe_orders(struct db *db) {
    static const struct db_query query = {
        "observe_orders",
        "SELECT (SELECT count(*) FROM (SELECT FROM orders WHERE status = 'PENDING_SHIPMENT' LIMIT 100000) AS pending),"
        "       (SELECT count(*) FROM (SELECT FROM orders WHERE status = 'SHIPPED' LIMIT 100000) AS shipped),"
        "       (SELECT id FROM orders WHERE status = 'PENDING_SHIPMENT' ORDER BY id LIMIT 1)"};
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &query, NULL, &result);
    if (status != DB_OK)
        return status;
    show("PENDING_SHIPMENT", db_int(result, 0, 0));
    show("SHIPPED", db_int(result, 0, 1));
    show_oldest(result);
    db_result_free(result);
    return observe_feed(db);
}
