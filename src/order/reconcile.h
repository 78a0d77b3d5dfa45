/* Announces orders again of which nothing was heard for too long: their ORDER_CREATED may be lost, or what
 * delivery-svc said of them, for it answers a repeated ORDER_CREATED with the status of the shipment. */
#pragma once

#include "common/db/db.h"

#include <stdint.h>

struct outbox;
struct reconcile;

/* outbox is borrowed. NULL when out of memory or threads. */
struct reconcile *reconcile_start(const struct db_options *db, int64_t after_ms, struct outbox *outbox);
void reconcile_stop(struct reconcile *reconcile); /* NULL is fine */
