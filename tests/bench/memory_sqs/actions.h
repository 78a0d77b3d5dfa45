/* The actions of SQS that the daemons use, in its JSON protocol. Signatures are not checked. */
#pragma once

#include "common/base/buf.h"
#include "store.h"

#include <stddef.h>
#include <stdint.h>

struct wait {            /* of a ReceiveMessage that found nothing */
    struct queue *queue; /* NULL: the answer is complete */
    int64_t until_ms;
    size_t most;
    int64_t visibility_ms;
};

/* Writes the answer to action into out, and returns its HTTP status. With wait->queue set there is none yet: action_retry
 * gives it, when something came or the time is over. base is the URL of the server, which begins those of queues. */
int action_run(struct store *store, const char *action, const char *base, const char *body, size_t len,
               int64_t now_ms, struct buf *out, struct wait *wait);

/* Writes what the queue has for a call that waits. False when that is nothing. */
bool action_retry(struct store *store, const struct wait *wait, int64_t now_ms, struct buf *out);
