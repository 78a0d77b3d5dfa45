/* What a queue is called. In a file of its own, so that tests can replace the calls of a queue and keep this. */
#include "private.h"

const char *queue_name(const struct queue *q) {
    return q->options.name;
}
