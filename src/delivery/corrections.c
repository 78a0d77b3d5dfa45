/* The job that publishes corrections again, a bounded number at a time. */
#include "corrections.h"

#include "app.h"
#include "common/events/outbox.h"
#include "repeat_store.h"

enum { CORRECTIONS_PAUSE_MS = 1000, CORRECTIONS_BUSY_PAUSE_MS = 100 };

int64_t corrections_run(void *app, struct db *db, enum db_status *status) {
    const struct delivery_app *delivery = app;
    size_t count = 0;
    *status = repeat_store_corrections(db, delivery->service.config->reconcile_after, &count);
    if (count)
        outbox_wake(delivery->outbox);
    return count == REPEAT_LIMIT ? CORRECTIONS_BUSY_PAUSE_MS : CORRECTIONS_PAUSE_MS;
}
