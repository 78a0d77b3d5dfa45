/* Telling again where shipments are. Connections and statuses as in common/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>

/* Puts the last ORDER_STATUS_UPDATE of those of n orders whose shipment has left into the outbox once more,
 * as one transaction. Uses order_id. */
enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) MUST_CHECK;
