/* Taking shipments out of the database that ended long ago. The connection is that of common/db/db.h. */
#pragma once

#include "common/service/archive.h"

/* Its lines are {"client_id": ..., "shipment": what GET /delivery/shipment/:orderId answers, "events": ...}, with the events that
 * GET /delivery/shipment/:orderId/events shows. */
extern const struct archive_kind shipment_archive;
