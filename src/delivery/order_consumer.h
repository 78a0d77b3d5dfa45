/* Handles the messages of the orders queue. Each order gets exactly one shipment. */
#pragma once

#include "common/events/consumer.h"

#include <stddef.h>

/* A consumer_fn. app is the struct delivery_app. n is at most CONSUMER_BATCH. */
enum db_status order_consumer_handle(void *app, struct db *db, struct consumer_message messages[], size_t n);
