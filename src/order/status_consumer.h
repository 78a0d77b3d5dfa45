/* The consumer of the delivery status queue. It applies the status updates of delivery-svc to the orders. */
#pragma once

#include <stdint.h>

/* Functions of a service_part. app is the struct order_app. NULL when out of memory or threads. */
void *status_consumer_start(void *app);
void status_consumer_stop(void *consumer, int64_t deadline_ms);
