/* Counting what waits for webhooks. */
#include "webhook_observe.h"

#include "common/metrics/metrics.h"

enum { MS_NS = 1000000 };

/* Late is what we could have sent: a receiver that is not well, or a lane whose first delivery failed, makes nothing
 * late. */
enum db_status observe_webhooks(struct db *db) {
    static const struct db_query query = {
        "observe_webhooks",
        "SELECT (SELECT count(*) FROM (SELECT FROM webhooks w JOIN webhook_deliveries d ON d.webhook_id = w.id"
        "                               WHERE w.deleted_at IS NULL AND d.next_at IS NOT NULL LIMIT 100000) AS waiting),"
        "       (SELECT greatest(extract(epoch FROM now() - min(first.next_at)) * 1000, 0)::bigint"
        "          FROM webhooks w CROSS JOIN LATERAL ("
        "            SELECT d.next_at FROM webhook_deliveries d"
        "             WHERE d.webhook_id = w.id AND d.next_at <= now() AND d.lease_until IS NULL"
        "             ORDER BY d.next_at LIMIT 1) AS first"
        "         WHERE w.enabled AND w.deleted_at IS NULL AND w.doubt = 0)"};
    struct db_result *result = NULL;
    enum db_status status = db_run(db, &query, NULL, &result);
    if (status != DB_OK)
        return status;
    metric_set(metric_series(METRIC_WEBHOOK_WAITING, NULL), db_int(result, 0, 0));
    metric_set(metric_series(METRIC_WEBHOOK_LATE, NULL), db_int(result, 0, 1) * MS_NS);
    db_result_free(result);
    return DB_OK;
}
