/* Telling the queue what becomes of the messages of a batch. */
#pragma once

#include "common/events/consumer.h"

/* Deletes the processed messages and releases the rest. When the queue is away, or a call fails, the server redelivers them
 * after their visibility timeout. name is that of the consumer, for the log; seconds: until each message is received
 * again. */
void consumer_settle(struct queue *queue, const char *name, struct consumer_message messages[],
                     const int seconds[], size_t n);

/* Only deletes the processed messages, which are settled then. The others stay hidden. */
void consumer_settle_done(struct queue *queue, const char *name, struct consumer_message messages[],
                          size_t n);

/* Extends the visibility timeout of messages that are at work. False when a call failed, after its log line. */
bool consumer_settle_hide(struct queue *queue, const char *name, const struct consumer_message messages[],
                          size_t n, int seconds);
