/* The SQL of deleting expired idempotency keys. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/db/walk.h"

#include <stddef.h>
#include <stdint.h>

/* Deletes at most limit expired keys, and goes on where the walk is. *deleted receives how many there were. */
enum db_status expiry_store_delete(struct db *db, struct db_walk *walk, int64_t limit,
                                   size_t *deleted) MUST_CHECK;
