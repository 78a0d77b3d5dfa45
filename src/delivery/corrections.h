/* Publishes corrected tracking numbers and carriers again. Their event may be lost, and order-svc does not ask for orders
 * that are DELIVERED. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn. app is the struct delivery_app. */
int64_t corrections_run(void *app, struct db *db, enum db_status *status);
