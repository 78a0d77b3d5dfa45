/* Announces orders again of which nothing was heard for too long: their ORDER_CREATED may be lost, or what delivery-svc
 * said of them, for it answers a repeated ORDER_CREATED with the status of the shipment. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn; app is the struct order_app. */
int64_t reconcile_run(void *app, struct db *db, enum db_status *status);
