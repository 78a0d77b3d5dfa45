/* The table shipments. Each change is also written to delivery_events and delivery_outbox. Connections and statuses
 * are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/db/walk.h"
#include "shipment.h"

#include <stddef.h>
#include <stdint.h>

/* Succeeds when shipments can be written: the table exists and the server is not a standby. */
extern const struct db_query shipment_store_probe;

/* Shipments that were read. It owns their strings. Zero-initialise it, and free it whatever the status. */
struct shipment_rows {
    struct shipment *list;
    size_t count;
    struct db_result *result;
};
void shipment_rows_free(struct shipment_rows *rows);

/* Creates a shipment for each order that has none yet, PROCESSING or SHIPPED, with the beginning of its audit trail. Uses id,
 * order_id, customer_id, client_id, status, tracking_number, carrier, correlation_id, traceparent, created_ms and next_ms. A
 * shipment without a client gets the one of its order. *created receives how many were created. */
enum db_status shipment_store_create(struct db *db, const struct shipment shipments[], size_t n,
                                     size_t *created) MUST_CHECK;

/* Reads the shipments of n orders. */
enum db_status shipment_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                   struct shipment_rows *rows) MUST_CHECK;
/* The shipment of one order. NULL when it has none. rows must be from shipment_store_find. */
const struct shipment *shipment_rows_find(const struct shipment_rows *rows, const struct uuid *order_id);

/* Applies changes in the given order, in one transaction. Each that changes something adds a row to the audit
 * trail. One that is news (shipment_is_news) also adds an event to the outbox. The strings of changes[i]->shipment belong to
 * rows or are those of changes[i]. */
enum db_status shipment_store_change(struct db *db, const struct shipment_pace *pace,
                                     struct shipment_change *const changes[], size_t n,
                                     struct shipment_rows *rows) MUST_CHECK;

/* Does the same for the carrier's next step of at most SHIPMENT_MAX_DUE shipments that are due. It skips those that
 * another replica has locked, and goes on where the walk is. *count receives how many there were. */
#define SHIPMENT_MAX_DUE 250
enum db_status shipment_store_advance(struct db *db, const struct shipment_pace *pace, struct db_walk *walk,
                                      size_t *count) MUST_CHECK;

/* *wait_ms receives the milliseconds until the next shipment is due, of those that the walk has not passed: negative when
 * overdue, max_ms when none waits. The walk goes on at that shipment, or now if that is earlier. Call it when shipment_store_advance has
 * found fewer than it may. */
enum db_status shipment_store_next_due(struct db *db, struct db_walk *walk, int64_t max_ms,
                                       int64_t *wait_ms) MUST_CHECK;
