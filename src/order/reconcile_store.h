/* The SQL of publishing ORDER_CREATED again. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stddef.h>
#include <stdint.h>

#define RECONCILE_LIMIT 100 /* maximum of orders per pass */

struct reconcile_pass {
    size_t quiet;     /* silent orders found; RECONCILE_LIMIT: more may wait */
    size_t announced; /* those that got a new ORDER_CREATED in the outbox */
};

/* Does one pass, in a transaction of its own. It finds orders that are not DELIVERED, without a status update for
 * after_ms, and not locked by another replica. Each gets a new ORDER_CREATED, unless an event of it still waits in
 * the outbox. All of them are due again after as much time as has passed since their last change, a day at most. */
enum db_status reconcile_store_pass(struct db *db, int64_t after_ms, struct reconcile_pass *pass) MUST_CHECK;
