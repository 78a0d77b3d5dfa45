/* Deletes idempotency keys that have expired. */
#include "expiry.h"

#include "common/base/log.h"
#include "common/base/ticker.h"
#include "order_store.h"

#include <stdlib.h>

enum { AT_A_TIME = 2000, PAUSE_MS = 10000, BUSY_PAUSE_MS = 50 };

struct expiry {
    struct db *db;
    struct ticker *ticker;
};

static int64_t expire(void *self) {
    struct expiry *expiry = self;
    size_t deleted;
    enum db_status status = order_store_expire_keys(expiry->db, AT_A_TIME, &deleted);
    if (status != DB_OK &&
        status != DB_UNAVAILABLE) /* an outage is told by those who need the database more */
        log_warn(NULL, "cannot delete expired idempotency keys: %s", db_error(expiry->db));
    return deleted == AT_A_TIME ? BUSY_PAUSE_MS : PAUSE_MS;
}

struct expiry *expiry_start(const struct db_options *options) {
    struct expiry *expiry = calloc(1, sizeof *expiry);
    if (!expiry)
        return NULL;
    expiry->db = db_open(options);
    expiry->ticker = expiry->db ? ticker_start(expire, expiry) : NULL;
    if (expiry->ticker)
        return expiry;
    expiry_stop(expiry);
    return NULL;
}

void expiry_stop(struct expiry *expiry) {
    if (!expiry)
        return;
    ticker_stop(expiry->ticker);
    db_close(expiry->db);
    free(expiry);
}
