/* The job that publishes corrections again, a bounded number at a time. */
#include "corrections.h"

#include "app.h"
#include "common/events/outbox.h"
#include "repeat_store.h"

enum { CORRECTIONS_PAUSE_MS = 1000, CORRECTIONS_BUSY_PAUSE_MS = 100 };

/* A failover or a restore may have lost a correction whose event had been sent. Then the order has what the shipment does
 * not have, and must hear of the shipment again. */
static enum db_status follow_database(struct delivery_app *delivery, struct db *db) {
    unsigned changes = db_identity_changes(delivery->service.identity);
    if (changes == delivery->database_changes)
        return DB_OK;
    enum db_status status = repeat_store_recent(db);
    if (status == DB_OK)
        delivery->database_changes = changes;
    return status;
}

int64_t corrections_run(void *app, struct db *db, enum db_status *status) {
    struct delivery_app *delivery = app;
    size_t count = 0;
    *status = follow_database(delivery, db);
    if (*status == DB_OK)
        *status = repeat_store_corrections(db, delivery->service.config->reconcile_after, &count);
    metric_add(delivery->repeated, (int64_t)count);
    if (count)
        outbox_wake(delivery->outbox);
    return count == REPEAT_LIMIT ? CORRECTIONS_BUSY_PAUSE_MS : CORRECTIONS_PAUSE_MS;
}
