/* The simulated carrier. It moves each shipment that is due one step further. The row of the shipment says which
 * step comes next. A real carrier would change the status as the HTTP route does. */
#pragma once

#include "common/config/config.h"
#include "common/db/job.h"
#include "shipment.h"

/* The delays of the carrier, from the configuration. */
struct shipment_pace carrier_pace(const struct config *config);

/* A db_job_fn. app is the struct delivery_app. Does nothing when the simulation is off. */
int64_t carrier_run(void *app, struct db *db, enum db_status *status);
