/* The SQL of announcing orders again. A connection's thread only. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stddef.h>
#include <stdint.h>

#define RECONCILE_LIMIT 100 /* orders of one pass */

struct reconcile_pass {
    size_t quiet;     /* orders looked at: RECONCILE_LIMIT when more may wait */
    size_t announced; /* those of them that got a new ORDER_CREATED in the outbox */
};

/* One pass, in a transaction of its own: of the orders not DELIVERED of which nothing was heard for after_ms,
 * and that no other replica works on, those get a new ORDER_CREATED whose last one does not wait in the
 * outbox. All of them are left alone for a while then: for as long as they have not changed already. */
enum db_status reconcile_store_pass(struct db *db, int64_t after_ms, struct reconcile_pass *pass) MUST_CHECK;
