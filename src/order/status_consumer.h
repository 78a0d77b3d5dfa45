/* What delivery-svc tells about shipments, applied to the orders: the handler of delivery-status-queue.fifo.
 */
#pragma once

#include "common/events/consumer.h"

struct order_app;
struct status_consumer;

/* Starts the consumer. NULL when out of memory or threads. app must outlive it. */
struct status_consumer *status_consumer_start(struct order_app *app);
void status_consumer_stop(struct status_consumer *consumer); /* NULL is fine */
