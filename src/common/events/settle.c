/* Telling the queue what became of the messages of a batch. */
#include "settle.h"

#include "common/base/log.h"

/* What fits into a call. */
static void settle_some(struct queue *queue, const char *name, const struct consumer_message messages[],
                        const int seconds[], size_t n) {
    const struct queue_message *done[QUEUE_BATCH], *back[QUEUE_BATCH];
    int back_seconds[QUEUE_BATCH];
    size_t done_count = 0, back_count = 0;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome == CONSUMER_DONE) {
            done[done_count++] = messages[i].message;
        } else {
            back_seconds[back_count] = seconds[i];
            back[back_count++] = messages[i].message;
        }
    }
    if (queue_delete(queue, done, done_count) != QUEUE_OK || *queue_error(queue))
        log_warn(NULL, "%s: delete failed; processed messages will be redelivered: %s", name,
                 queue_error(queue));
    if (queue_set_visibility(queue, back, back_seconds, back_count) != QUEUE_OK || *queue_error(queue))
        log_warn(NULL, "%s: cannot set the visibility timeout; failed messages will be redelivered late: %s",
                 name, queue_error(queue));
}

void consumer_settle(struct queue *queue, const char *name, const struct consumer_message messages[],
                     const int seconds[], size_t n) {
    for (size_t i = 0; i < n; i += QUEUE_BATCH)
        settle_some(queue, name, &messages[i], &seconds[i], n - i < QUEUE_BATCH ? n - i : QUEUE_BATCH);
}
