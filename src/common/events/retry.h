/* Which messages of a batch must wait for others, so that none of a group overtakes another. */
#pragma once

#include "common/events/consumer.h"

/* Whether the next receive moves the message to the dead-letter queue, which happens after so many receives. */
bool retry_is_last(const struct queue_message *message, unsigned most_receives);

/* Whether that is so of any of n messages. */
bool retry_any_is_last(const struct consumer_message messages[], size_t n, unsigned most_receives);

/* Seconds until a message that failed is received again: at the last time at once, so that the server moves it. */
int retry_after_s(const struct queue_message *message, unsigned most_receives);

/* The message that messages[m] must wait for: one of its group that failed and will be redelivered. NULL when there is
 * none. A message that failed for the last time is not redelivered, so nothing waits for it. Otherwise the later messages
 * would be moved to the dead-letter queue with it, untried. A message that cannot succeed blocks nothing either. A busy one
 * is tried again whatever its receives are, so it always blocks. */
const struct consumer_message *retry_blocker(const struct consumer_message messages[], size_t m,
                                             unsigned most_receives);
