/* The consumer of delivery-status-queue.fifo: applies to the orders what delivery-svc says of their shipments. */
#pragma once

#include <stdint.h>

/* A service_part's; app is the struct order_app. */
void *status_consumer_start(void *app);
void status_consumer_stop(void *consumer, int64_t deadline_ms);
