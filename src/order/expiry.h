/* Deletes idempotency keys that have expired, a bounded number at a time. */
#pragma once

#include "common/db/db.h"

struct expiry;

/* NULL when out of memory or threads. */
struct expiry *expiry_start(const struct db_options *options);
void expiry_stop(struct expiry *expiry); /* NULL is fine */
