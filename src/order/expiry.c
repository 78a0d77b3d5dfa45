/* The job that deletes expired idempotency keys. */
#include "expiry.h"

#include "app.h"
#include "expiry_store.h"

enum { AT_A_TIME = 2000, PAUSE_MS = 10000, BUSY_PAUSE_MS = 50 };

int64_t expiry_run(void *app, struct db *db, enum db_status *status) {
    struct order_app *order = app;
    size_t deleted;
    *status = expiry_store_delete(db, &order->expired_keys, AT_A_TIME, &deleted);
    return deleted == AT_A_TIME ? BUSY_PAUSE_MS : PAUSE_MS;
}
