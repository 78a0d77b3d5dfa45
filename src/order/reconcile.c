/* The job that publishes ORDER_CREATED again for silent orders, a bounded number at a time. */
#include "reconcile.h"

#include "app.h"
#include "common/base/log.h"
#include "common/events/outbox.h"
#include "reconcile_store.h"

enum { PAUSE_MS = 1000, BUSY_PAUSE_MS = 100 };

int64_t reconcile_run(void *app, struct db *db, enum db_status *status) {
    const struct order_app *order = app;
    struct reconcile_pass pass;
    *status = reconcile_store_pass(db, order->service.config->reconcile_after, &pass);
    if (*status != DB_OK)
        return PAUSE_MS;
    if (pass.announced) {
        outbox_wake(order->outbox);
        log_info(NULL, "re-announcing %zu order(s) without recent status", pass.announced);
    }
    return pass.quiet == RECONCILE_LIMIT ? BUSY_PAUSE_MS : PAUSE_MS;
}
