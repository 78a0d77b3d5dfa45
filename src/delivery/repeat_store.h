/* Publishes the status of shipments again. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "shipment.h"

#include <stddef.h>

/* Writes the last ORDER_STATUS_UPDATE of n orders into the outbox again, in one transaction. Orders whose shipment
 * is still PROCESSING are skipped, because it has published none yet. Of shipments only order_id is used. */
enum db_status repeat_store_updates(struct db *db, const struct shipment shipments[], size_t n) MUST_CHECK;

/* Does the same, in a transaction of its own, for shipments that were corrected after they had left, and of which
 * nothing was published for after_ms: REPEAT_LIMIT at most. *count receives how many. Each is due again after as much
 * time as has passed since the correction, until a day after it. */
#define REPEAT_LIMIT 100
enum db_status repeat_store_corrections(struct db *db, int64_t after_ms, size_t *count) MUST_CHECK;

/* When the tables tell that they were of another database (by its identity in hex): lets repeat_store_corrections publish soon
 * what it would repeat later, and once the last 10,000 shipments that have left, as if they had been corrected now. Of each
 * kind the newest come first, 200 a second. Tables that do not tell yet are of this one from now on. */
enum db_status repeat_store_follow(struct db *db, const char *database) MUST_CHECK;
