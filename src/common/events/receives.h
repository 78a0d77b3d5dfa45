/* After how many receives a queue gives a message up. The queue's own number counts. It was set when the queue was
 * created, and an operator may change it. */
#pragma once

#include "common/queue/queue.h"

#include <stdint.h>

struct receives {
    int setting, logged;
    int64_t ask_ms; /* when the queue is asked again, on clock_mono_ms's clock */
};

void receives_begin(struct receives *receives, const struct queue_options *options);

/* Logs the queue's number when it is not the setting's, and when it changes. name is that of the consumer. Asks the
 * queue once a minute. */
void receives_compare(struct receives *receives, struct queue *queue, const char *name);
