/* Deletes expired idempotency keys, a bounded number at a time. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn. self is not used. */
int64_t expiry_run(void *self, struct db *db, enum db_status *status);
