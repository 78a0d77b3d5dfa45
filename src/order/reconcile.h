/* Publishes ORDER_CREATED again for silent orders: those without a status update for too long. Their ORDER_CREATED
 * or their last status update may be lost. delivery-svc answers a repeated ORDER_CREATED with the status of the
 * shipment. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn. app is the struct order_app. */
int64_t reconcile_run(void *app, struct db *db, enum db_status *status);
