/* The end of a batch. */
#pragma once

#include "common/events/consumer.h"

/* Deletes the processed messages and releases the rest. If a call fails, the server redelivers them after their
 * visibility timeout. name is that of
 * the consumer, for the log; seconds: until each message is received again. */
void consumer_settle(struct queue *queue, const char *name, const struct consumer_message messages[],
                     const int seconds[], size_t n);
