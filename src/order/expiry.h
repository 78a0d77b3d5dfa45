/* Deletes expired idempotency keys, a bounded number at a time. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn. Its self is a struct order_app. */
int64_t expiry_run(void *app, struct db *db, enum db_status *status);
