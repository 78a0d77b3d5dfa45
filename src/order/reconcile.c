/* The thread that announces quiet orders again, a bounded number at a time. */
#include "reconcile.h"

#include "common/base/log.h"
#include "common/events/outbox.h"
#include "common/base/ticker.h"
#include "reconcile_store.h"

#include <stdlib.h>

enum { PAUSE_MS = 1000, BUSY_PAUSE_MS = 100 };

struct reconcile {
    struct db *db; /* of the thread */
    int64_t after_ms;
    struct outbox *outbox;
    struct ticker *thread;
};

static int64_t pass_once(void *self) {
    struct reconcile *reconcile = self;
    struct reconcile_pass pass;
    enum db_status status = reconcile_store_pass(reconcile->db, reconcile->after_ms, &pass);
    if (status == DB_OK && pass.announced) {
        outbox_wake(reconcile->outbox);
        log_info(NULL, "nothing was heard of %zu orders: they are announced again", pass.announced);
    }
    if (status != DB_OK && status != DB_UNAVAILABLE) /* an outage is told by those who need it more */
        log_warn(NULL, "cannot announce quiet orders: %s", db_error(reconcile->db));
    return status == DB_OK && pass.quiet == RECONCILE_LIMIT ? BUSY_PAUSE_MS : PAUSE_MS;
}

struct reconcile *reconcile_start(const struct db_options *db, int64_t after_ms, struct outbox *outbox) {
    struct reconcile *reconcile = calloc(1, sizeof *reconcile);
    if (!reconcile)
        return NULL;
    reconcile->after_ms = after_ms;
    reconcile->outbox = outbox;
    reconcile->db = db_open(db);
    reconcile->thread = reconcile->db ? ticker_start(pass_once, reconcile) : NULL;
    if (reconcile->thread)
        return reconcile;
    reconcile_stop(reconcile);
    return NULL;
}

void reconcile_stop(struct reconcile *reconcile) {
    if (!reconcile)
        return;
    ticker_stop(reconcile->thread);
    db_close(reconcile->db);
    free(reconcile);
}
