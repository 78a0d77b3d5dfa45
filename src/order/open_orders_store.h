/* What order-svc counts of the orders that are not delivered, and of the feed, for the metrics. */
#pragma once

#include "common/db/db.h"

/* The daemon's observe function (service.h). */
enum db_status observe_orders(struct db *db) MUST_CHECK;
