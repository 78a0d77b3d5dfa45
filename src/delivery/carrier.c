/* The job of the simulated carrier. */
#include "carrier.h"

#include "app.h"
#include "common/events/outbox.h"
#include "shipment_store.h"

enum {
    MIN_SLEEP_MS = 20, /* what is due meanwhile goes together; another replica may hold what is overdue */
    MAX_SLEEP_MS = 1000,
    OFF_SLEEP_MS = 3600000,
};

struct shipment_pace carrier_pace(const struct config *config) {
    return (struct shipment_pace){.simulated = config->carrier_simulation,
                                  .assign_ms = config->carrier_assign_delay,
                                  .ship_ms = config->carrier_ship_delay,
                                  .deliver_ms = config->carrier_deliver_delay};
}

int64_t carrier_run(void *app, struct db *db, enum db_status *status) {
    struct delivery_app *delivery = app;
    struct shipment_pace pace = carrier_pace(delivery->service.config);
    size_t count = 0;
    int64_t wait_ms = MAX_SLEEP_MS;
    if (!pace.simulated)
        return OFF_SLEEP_MS;
    *status = shipment_store_advance(db, &pace, &delivery->due, &count);
    if (count)
        outbox_wake(delivery->outbox);
    if (count == SHIPMENT_MAX_DUE)
        return 0;
    if (*status == DB_OK)
        *status = shipment_store_next_due(db, &delivery->due, MAX_SLEEP_MS, &wait_ms);
    if (wait_ms < MIN_SLEEP_MS)
        return MIN_SLEEP_MS;
    return wait_ms < MAX_SLEEP_MS ? wait_ms : MAX_SLEEP_MS;
}
