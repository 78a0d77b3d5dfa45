/* Telling the queue what became of the messages of a batch. */
#include "settle.h"

#include "common/base/log.h"

/* n is what fits into a call. False when the queue is away. */
static bool delete_done(struct queue *queue, const char *name, struct consumer_message messages[], size_t n) {
    const struct queue_message *done[QUEUE_BATCH];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome != CONSUMER_DONE || messages[i].settled)
            continue;
        done[count++] = messages[i].message;
        messages[i].settled = true;
    }
    enum queue_status status = queue_delete(queue, done, count);
    if (status != QUEUE_OK || *queue_error(queue))
        log_warn(NULL, "%s: delete failed; processed messages will be redelivered: %s", name,
                 queue_error(queue));
    return status != QUEUE_UNAVAILABLE && status != QUEUE_INTERRUPTED;
}

static bool put_back(struct queue *queue, const char *name, const struct consumer_message messages[],
                     const int seconds[], size_t n) {
    const struct queue_message *back[QUEUE_BATCH];
    int back_seconds[QUEUE_BATCH];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome == CONSUMER_DONE)
            continue;
        back_seconds[count] = seconds[i];
        back[count++] = messages[i].message;
    }
    enum queue_status status = queue_set_visibility(queue, back, back_seconds, count);
    if (status != QUEUE_OK || *queue_error(queue))
        log_warn(NULL, "%s: cannot set the visibility timeout; failed messages will be redelivered late: %s",
                 name, queue_error(queue));
    return status != QUEUE_UNAVAILABLE && status != QUEUE_INTERRUPTED;
}

static size_t settle_chunk(size_t i, size_t n) {
    return n - i < QUEUE_BATCH ? n - i : QUEUE_BATCH;
}

static bool hide_some(struct queue *queue, const char *name, const struct consumer_message messages[],
                      size_t n, int seconds) {
    const struct queue_message *all[QUEUE_BATCH];
    int each[QUEUE_BATCH];
    for (size_t i = 0; i < n; i++) {
        all[i] = messages[i].message;
        each[i] = seconds;
    }
    enum queue_status status = queue_set_visibility(queue, all, each, n);
    if (status != QUEUE_OK || *queue_error(queue))
        log_warn(NULL,
                 "%s: cannot extend the visibility timeout; messages in progress may be redelivered: %s",
                 name, queue_error(queue));
    return status == QUEUE_OK;
}

bool consumer_settle_hide(struct queue *queue, const char *name, const struct consumer_message messages[],
                          size_t n, int seconds) {
    bool hidden = true;
    for (size_t i = 0; i < n && hidden; i += QUEUE_BATCH)
        hidden = hide_some(queue, name, &messages[i], settle_chunk(i, n), seconds);
    return hidden;
}

void consumer_settle_done(struct queue *queue, const char *name, struct consumer_message messages[],
                          size_t n) {
    bool away = false;
    for (size_t i = 0; i < n && !away; i += QUEUE_BATCH)
        away = !delete_done(queue, name, &messages[i], settle_chunk(i, n));
}

void consumer_settle(struct queue *queue, const char *name, struct consumer_message messages[],
                     const int seconds[], size_t n) {
    bool away = false;
    for (size_t i = 0; i < n && !away; i += QUEUE_BATCH)
        away = !delete_done(queue, name, &messages[i], settle_chunk(i, n)) ||
               !put_back(queue, name, &messages[i], &seconds[i], settle_chunk(i, n));
}
