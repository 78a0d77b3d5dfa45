/* Sending deliveries of webhooks: one thread, which takes due ones, drives the requests, and writes the results in
 * batches. All replicas send. */
#pragma once

#include "common/callout/callout.h"
#include "common/db/db.h"

#include <stdint.h>

#define WEBHOOK_PARALLEL 64 /* requests at once */
#define WEBHOOK_SENDER_FILES CALLOUT_FILES(WEBHOOK_PARALLEL)

struct webhook_sender;

/* Functions of a service_part. NULL when out of memory or threads. The requests in progress have a few seconds to end,
 * and half of the time to the deadline at most. What is cut off is sent again. */
void *webhook_sender_start(void *app);
void webhook_sender_stop(void *sender, int64_t deadline_ms);

/* Deliveries may be due. Any thread; does not wait. NULL is fine. */
void webhook_sender_wake(struct webhook_sender *sender);
