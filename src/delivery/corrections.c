/* The job that publishes corrections again, a bounded number at a time. */
#include "corrections.h"

#include "app.h"
#include "common/base/digest.h"
#include "common/events/outbox.h"
#include "repeat_store.h"

enum { CORRECTIONS_PAUSE_MS = 1000, CORRECTIONS_BUSY_PAUSE_MS = 100 };

/* A failover or a restore may have lost a correction whose event had been sent. Then the order has what the shipment does
 * not have, and must hear of the shipment again. Looks at the start, too: a restore happens while no replica runs. */
static enum db_status follow_database(struct delivery_app *delivery, struct db *db) {
    uint8_t database[DB_IDENTITY_SIZE];
    char name[2 * DB_IDENTITY_SIZE + 1];
    unsigned look = db_identity_changes(delivery->service.identity) + 1;
    if (look == delivery->database_looked || !db_identity_get(delivery->service.identity, database))
        return DB_OK;
    hex_encode(database, sizeof database, name);
    enum db_status status = repeat_store_follow(db, name);
    if (status == DB_OK)
        delivery->database_looked = look;
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
