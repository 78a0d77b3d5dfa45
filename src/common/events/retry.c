/* Finding the messages that others must wait for. */
#include "retry.h"

#include <string.h>

static bool consumer_same_group(const struct consumer_message *a, const struct consumer_message *b) {
    return strcmp(a->message->group_id, b->message->group_id) == 0;
}

bool retry_is_last(const struct queue_message *message, unsigned most_receives) {
    return message->receive_count >= most_receives;
}

bool retry_any_is_last(const struct consumer_message messages[], size_t n, unsigned most_receives) {
    while (n > 0 && !retry_is_last(messages[n - 1].message, most_receives))
        n--;
    return n > 0;
}

const struct consumer_message *retry_blocker(const struct consumer_message messages[], size_t m,
                                             unsigned most_receives) {
    for (size_t i = 0; i < m; i++)
        if (messages[i].outcome == CONSUMER_RETRY && consumer_same_group(&messages[i], &messages[m]) &&
            !retry_is_last(messages[i].message, most_receives))
            return &messages[i];
    return NULL;
}
