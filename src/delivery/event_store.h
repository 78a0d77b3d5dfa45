/* Reading the table delivery_events, the audit trail; shipment_store.h writes it. Connections and statuses as
 * in common/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>

#define EVENT_STORE_LIMIT 1000 /* shown of one shipment: the newest */

/* Events read; their strings live in it. Zero-initialise; free it whatever the status. */
struct event_rows {
    struct shipment_event *list;
    size_t count;
    struct db_result *result;
};
void event_rows_free(struct event_rows *rows);

/* The audit trails of n orders, each oldest first. */
enum db_status event_store_find(struct db *db, const struct uuid *const order_ids[], size_t n,
                                struct event_rows *rows) MUST_CHECK;
/* Those of this order, *n of them; NULL when there is none: then there is no shipment either. */
const struct shipment_event *event_rows_find(const struct event_rows *rows, const struct uuid *order_id,
                                             size_t *n);
