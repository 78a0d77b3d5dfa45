/* Reads the table delivery_events, the audit trail. shipment_store.h writes it. Connections and statuses are those
 * of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>

#define EVENT_STORE_LIMIT 1000 /* events shown per shipment, the newest ones */

/* Events that were read. It owns their strings. Zero-initialise it, and free it whatever the status. */
struct event_rows {
    struct shipment_event *list;
    size_t count;
    struct db_result *result;
};
void event_rows_free(struct event_rows *rows);

/* Reads the audit trails of n orders, each oldest first. */
enum db_status event_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                struct event_rows *rows) MUST_CHECK;
/* The events of one order. *n receives how many there are. NULL when there is none. Then there is no shipment
 * either, because every shipment has at least one event. */
const struct shipment_event *event_rows_find(const struct event_rows *rows, const struct uuid *order_id,
                                             size_t *n);
