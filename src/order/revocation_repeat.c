/* The job that publishes revocations again, a bounded number at a time. */
#include "revocation_repeat.h"

#include "app.h"
#include "common/base/log.h"
#include "common/events/outbox.h"
#include "revocation_store.h"

enum { REPEAT_PAUSE_MS = 1000, REPEAT_BUSY_PAUSE_MS = 100 };

int64_t revocation_repeat_run(void *app, struct db *db, enum db_status *status) {
    struct order_app *order = app;
    size_t count;
    *status = revocation_store_repeat(db, order->service.config->reconcile_after, order->silent_revocations,
                                      &count);
    if (*status != DB_OK || count == 0)
        return REPEAT_PAUSE_MS;
    metric_add(order->series.repeated_revocations, (int64_t)count);
    outbox_wake(order->revocation_outbox);
    log_debug(NULL, "publishing %zu revocation(s) again", count);
    return count >= REVOCATION_REPEAT_LIMIT ? REPEAT_BUSY_PAUSE_MS : REPEAT_PAUSE_MS;
}
