/* The job that tells delivery-svc again of customers that were erased, a bounded number of orders at a time. */
#include "erasure_repeat.h"

#include "app.h"
#include "common/base/log.h"
#include "common/events/outbox.h"
#include "erasure_repeat_store.h"

enum { ERASURE_PAUSE_MS = 1000, ERASURE_BUSY_PAUSE_MS = 100 };

int64_t erasure_repeat_run(void *app, struct db *db, enum db_status *status) {
    struct order_app *order = app;
    bool due;
    size_t told;
    *status = erasure_store_repeat(db, order->service.config->reconcile_after, &due, &told);
    if (told) {
        metric_add(order->series.repeated_erasures, (int64_t)told);
        outbox_wake(order->outbox);
        log_debug(NULL, "publishing CUSTOMER_ERASED of %zu order(s) again", told);
    }
    return due ? ERASURE_BUSY_PAUSE_MS : ERASURE_PAUSE_MS;
}
