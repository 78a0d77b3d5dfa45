/* The SQL of telling delivery-svc again of customers that were erased. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Publishes CUSTOMER_ERASED again, in a transaction of its own, for the next orders of an erasure of which nothing was told
 * for after_ms: ERASURE_BATCH at most. Orders of which an event still waits in the outbox are left out. An erasure is due again
 * after as much time as has passed since it, until a day after it. *due: there was one, so there may be more to do; *told
 * receives how many events. */
enum db_status erasure_store_repeat(struct db *db, int64_t after_ms, bool *due, size_t *told) MUST_CHECK;

/* Lets erasure_store_repeat publish all that was ever erased once more. *count receives how many erasures there are. */
enum db_status erasure_store_repeat_all(struct db *db, int64_t *count) MUST_CHECK;
