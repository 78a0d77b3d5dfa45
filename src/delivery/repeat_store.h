/* Publishes the status of shipments again. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>

/* Writes the last ORDER_STATUS_UPDATE of n orders into the outbox again, in one transaction. Orders whose shipment
 * is still PROCESSING are skipped, because it has published none yet. Of shipments only order_id is used. */
enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) MUST_CHECK;
