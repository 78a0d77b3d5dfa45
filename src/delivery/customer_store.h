/* The SQL of erasing the customers of shipments. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

#include <stddef.h>

struct customer_erasure {
    struct uuid order_id;
    const char *replacement; /* of the customer's id; borrowed */
};

/* Replaces the customer of the shipments of these orders, in one transaction. Of an order that comes twice, the last one
 * counts. An order without a shipment is left out: when its ORDER_CREATED comes again, it has the replacement. */
enum db_status customer_store_erase(struct db *db, const struct customer_erasure erasures[],
                                    size_t n) MUST_CHECK;
