/* The job that deletes expired idempotency keys. */
#include "expiry.h"

#include "order_store.h"

enum { AT_A_TIME = 2000, PAUSE_MS = 10000, BUSY_PAUSE_MS = 50 };

int64_t expiry_run(void *self, struct db *db, enum db_status *status) {
    (void)self;
    size_t deleted;
    *status = order_store_expire_keys(db, AT_A_TIME, &deleted);
    return deleted == AT_A_TIME ? BUSY_PAUSE_MS : PAUSE_MS;
}
