/* Finding the messages that others must wait for. */
#include "retry.h"

#include "common/base/backoff.h"

#include <string.h>

enum { RETRY_BASE_MS = 1000, RETRY_CAP_MS = 30000 };

static bool consumer_same_group(const struct consumer_message *a, const struct consumer_message *b) {
    return strcmp(a->message->group_id, b->message->group_id) == 0;
}

bool retry_is_last(const struct queue_message *message, unsigned most_receives) {
    return message->receive_count >= most_receives;
}

int retry_after_s(const struct queue_message *message, unsigned most_receives) {
    if (retry_is_last(message, most_receives))
        return 0;
    return (int)(backoff_ms(message->receive_count - 1, RETRY_BASE_MS, RETRY_CAP_MS) / 1000 + 1);
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
            (messages[i].busy || !retry_is_last(messages[i].message, most_receives)))
            return &messages[i];
    return NULL;
}
