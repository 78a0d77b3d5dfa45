/* What the handlers of delivery-svc share: the parts that live as long as the process. */
#pragma once

#include "common/db/walk.h"
#include "common/metrics/metrics.h"
#include "common/service/service.h"

struct outbox;

struct delivery_app {
    struct service service; /* must stay first */
    struct outbox *outbox;
    struct metric_series *shipment_delay, *revocation_delay, *repeated;
    struct db_walk due; /* of the carrier's job, through the shipments that are due */
    unsigned
        database_looked; /* of the job of corrections: 1 + the changes of the database's identity when it looked; 0: never */
};
