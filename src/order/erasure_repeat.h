/* The job that tells delivery-svc again of customers that were erased, because the queue may have lost it. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn; self is the struct order_app. */
int64_t erasure_repeat_run(void *app, struct db *db, enum db_status *status);
