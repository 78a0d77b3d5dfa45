/* The simulated carrier: a thread that takes shipments which are due one step further, from what their rows
 * say. A real carrier would change their status as the HTTP route does. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

struct carrier;
struct outbox;
struct shipment_pace;

/* pace and outbox are borrowed. Waits by itself for a database that is away. NULL when out of memory or
 * threads. */
struct carrier *carrier_start(const struct db_options *db, const struct shipment_pace *pace,
                              struct outbox *outbox);

/* Lets the batch at work finish, joins, frees. NULL is fine. */
void carrier_stop(struct carrier *carrier);
