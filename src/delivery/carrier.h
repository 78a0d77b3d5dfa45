/* The simulated carrier: takes shipments that are due one step further, from what their rows say. A real carrier would
 * change their status as the HTTP route does. */
#pragma once

#include "common/config/config.h"
#include "common/db/job.h"
#include "shipment.h"

/* How fast it moves shipments. */
struct shipment_pace carrier_pace(const struct config *config);

/* A db_job_fn; app is the struct delivery_app. Does nothing where the simulation is off. */
int64_t carrier_run(void *app, struct db *db, enum db_status *status);
