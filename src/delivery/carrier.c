/* The simulated carrier's thread. */
#include "carrier.h"

#include "common/base/log.h"
#include "common/events/outbox.h"
#include "common/base/ticker.h"
#include "shipment_store.h"

#include <stdlib.h>

enum {
    MIN_SLEEP_MS = 5, /* what is late but not ours to take is in another replica's hands */
    MAX_SLEEP_MS = 1000,
};

struct carrier {
    struct db *db; /* of the thread */
    const struct shipment_pace *pace;
    struct outbox *outbox;
    struct ticker *thread;
    bool failing; /* the last try failed, and that was logged */
};

/* Moves one batch; how long to sleep then. */
static int64_t move_due(void *self) {
    struct carrier *carrier = self;
    size_t count = 0;
    int64_t wait_ms = MAX_SLEEP_MS;
    enum db_status status = shipment_store_advance(carrier->db, carrier->pace, &count);
    if (count)
        outbox_wake(carrier->outbox);
    if (count == SHIPMENT_MAX_DUE)
        return 0;
    if (status == DB_OK)
        status = shipment_store_next_due(carrier->db, MAX_SLEEP_MS, &wait_ms);
    if (status != DB_OK && !carrier->failing)
        log_warn(NULL, "carrier: the shipments wait: %s", db_error(carrier->db));
    if (status == DB_OK && carrier->failing)
        log_info(NULL, "carrier: the shipments move again");
    carrier->failing = status != DB_OK;
    if (wait_ms < MIN_SLEEP_MS)
        return MIN_SLEEP_MS;
    return wait_ms < MAX_SLEEP_MS ? wait_ms : MAX_SLEEP_MS;
}

struct carrier *carrier_start(const struct db_options *db, const struct shipment_pace *pace,
                              struct outbox *outbox) {
    struct carrier *carrier = calloc(1, sizeof *carrier);
    if (!carrier)
        return NULL;
    carrier->pace = pace;
    carrier->outbox = outbox;
    carrier->db = db_open(db);
    if (carrier->db)
        carrier->thread = ticker_start(move_due, carrier);
    if (carrier->thread)
        return carrier;
    carrier_stop(carrier);
    return NULL;
}

void carrier_stop(struct carrier *carrier) {
    if (!carrier)
        return;
    ticker_stop(carrier->thread);
    db_close(carrier->db);
    free(carrier);
}
