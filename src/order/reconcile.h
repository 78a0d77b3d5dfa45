/* Publishes the event of silent orders again: those without a status update for too long. Their ORDER_CREATED, their
 * ORDER_CANCEL_REQUESTED or their last status update may be lost. delivery-svc answers a repeated event with the status of
 * the shipment.
 *
 * An order is published again only when none of its messages can still be in the queue: the queue was seen empty after
 * they were published. So nothing piles up while delivery-svc is away. After an outage of SQS, in which the broker may
 * have lost its messages, the orders that were published shortly before do not wait for RECONCILE_AFTER. */
#pragma once

#include <stdint.h>

/* Functions of a service_part. app is the struct order_app. */
void *reconciler_start(void *app);
void reconciler_stop(void *reconciler, int64_t deadline_ms);
