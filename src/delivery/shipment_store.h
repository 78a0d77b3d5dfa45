/* The table shipments, and what each change of it leaves in delivery_events and delivery_outbox. Connections
 * and statuses as in common/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>
#include <stdint.h>

/* Succeeds when shipments can be written: the table is there, and the server is no standby. */
extern const struct db_query shipment_store_probe;

/* Shipments read; their strings live in it. Zero-initialise; free it whatever the status. */
struct shipment_rows {
    struct shipment *list;
    size_t count;
    struct db_result *result;
};
void shipment_rows_free(struct shipment_rows *rows);

/* Creates shipments for those orders that have none yet, each with its first row of the audit trail. Uses id,
 * order_id, customer_id, correlation_id, traceparent, created_ms and next_ms. *created tells how many. */
enum db_status shipment_store_create(struct db *db, const struct shipment shipments[], size_t n,
                                     size_t *created) MUST_CHECK;

/* The shipments of n orders. */
enum db_status shipment_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                   struct shipment_rows *rows) MUST_CHECK;
/* The one of this order; NULL when it has none. */
const struct shipment *shipment_rows_find(const struct shipment_rows *rows, const struct uuid *order_id);

/* Applies changes, in their order, as one transaction: all status changes come through here. Each that
 * changed something leaves its row in the audit trail and, when the shipment moved, its event in the outbox.
 * Strings of changes[i]->shipment live in rows. */
enum db_status shipment_store_change(struct db *db, const struct shipment_pace *pace,
                                     struct shipment_change *const changes[], size_t n,
                                     struct shipment_rows *rows) MUST_CHECK;

/* The same for the carrier's next step with those shipments that are due and that no other replica works on:
 * at most SHIPMENT_MAX_DUE; *count tells how many. */
#define SHIPMENT_MAX_DUE 100
enum db_status shipment_store_advance(struct db *db, const struct shipment_pace *pace,
                                      size_t *count) MUST_CHECK;

/* Milliseconds until the next shipment is due, negative when it is late; max_ms when none waits. */
enum db_status shipment_store_next_due(struct db *db, int64_t max_ms, int64_t *wait_ms) MUST_CHECK;
