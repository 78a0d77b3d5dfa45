/* Taking orders out of the database that ended long ago. The connection is that of common/db/db.h. */
#pragma once

#include "common/service/archive.h"

/* Its lines are {"client_id": ..., "order": what GET /orders/:id answers}. An order stays while delivery-svc is told that its
 * customer was erased. */
extern const struct archive_kind order_archive;
