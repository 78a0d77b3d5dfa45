/* Receiving what a transaction is made of: one call's messages, and while calls bring as many as they can, those of a few
 * more. A transaction costs a database the most for itself, so a queue that is full is emptied faster by larger ones. */
#pragma once

#include "common/events/consumer.h"

enum { GATHER_CALLS = CONSUMER_BATCH / QUEUE_BATCH };

struct gathered {
    const struct queue_message *messages[CONSUMER_BATCH]; /* in the order in which they came */
    size_t count;
    struct queue_batch batches[GATHER_CALLS];
    size_t calls;
    int64_t hidden_ms; /* since when the server hides the first of them */
    int64_t came_ms;   /* when they came, if they were few: the next call rests first (pace.h). Else 0 */
};

/* Long-polls up to wait_s seconds, and then only takes what is there. Messages may have come with any status, which is
 * that of the last call. Free with gather_free, whatever the status. Begin with zeros, and keep it from call to call. */
enum queue_status gather(struct queue *queue, int wait_s, struct gathered *out) MUST_CHECK;
void gather_free(struct gathered *gathered);
