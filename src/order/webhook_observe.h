/* What webhooks show in the metrics. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

/* Counts the deliveries that wait, and looks for the one that is late. */
enum db_status observe_webhooks(struct db *db) MUST_CHECK;
