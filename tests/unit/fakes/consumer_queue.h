/* A queue that is made up, for a consumer. */
#pragma once

#include "fakes/consumer_world.h"

struct queue {
    struct queue_options options;
};

struct queue *queue_open(const struct queue_options *options) {
    struct queue *q = malloc(sizeof *q);
    q->options = *options;
    return q;
}

int queue_max_receive_count(const struct queue *q) {
    return q->options.max_receive_count;
}

void queue_close(struct queue *q) {
    free(q);
}

const char *queue_error(const struct queue *q) {
    (void)q;
    return "";
}

void queue_interrupt(struct queue *q) {
    (void)q;
    pthread_mutex_lock(&world.lock);
    world.interrupted = true;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

/* Cuts the text of the batch into messages; their strings point into it. */
static void fill(struct queue_batch *batch, char *text) {
    char *rest_of_text, *line = strtok_r(text, ",", &rest_of_text);
    for (; line; line = strtok_r(NULL, ",", &rest_of_text)) {
        char *rest_of_line, *id = strtok_r(line, " ", &rest_of_line);
        struct queue_message *m = &batch->messages[batch->count++];
        *m = (struct queue_message){.id = id, .receipt = id, .correlation_id = "", .traceparent = ""};
        m->group_id = strtok_r(NULL, " ", &rest_of_line);
        m->body = strtok_r(NULL, " ", &rest_of_line);
        m->receive_count = (unsigned)atoi(rest_of_line);
    }
}

enum queue_status queue_check(struct queue *q) {
    (void)q;
    note("check; ");
    if (world.queue_away == 0)
        return QUEUE_OK;
    world.queue_away--;
    return QUEUE_UNAVAILABLE;
}

enum queue_status queue_receive(struct queue *q, int wait_s, struct queue_batch *batch) {
    (void)q;
    batch->count = 0;
    batch->storage = NULL;
    if (world.lost_answers > 0) {
        world.lost_answers--;
        note("lost; ");
        return QUEUE_UNAVAILABLE;
    }
    enum queue_status status = QUEUE_OK;
    pthread_mutex_lock(&world.lock);
    if (wait_s == 0) {
        world.helped |= !pthread_equal(world.poller, pthread_self());
        if (world.more)
            fill(batch, batch->storage = strdup(world.more));
        world.more = NULL;
        pthread_cond_broadcast(&world.changed);
        pthread_mutex_unlock(&world.lock);
        return QUEUE_OK;
    }
    world.poller = pthread_self();
    world.idle = !world.batch || world.stop_while_receiving;
    pthread_cond_broadcast(&world.changed);
    if (world.idle)
        wait_until(&world.interrupted);
    if (world.batch)
        fill(batch, batch->storage = strdup(world.batch));
    else
        status = QUEUE_INTERRUPTED;
    world.batch = NULL;
    pthread_mutex_unlock(&world.lock);
    return status;
}

void queue_batch_free(struct queue_batch *batch) {
    free(batch->storage);
}

enum queue_status queue_delete(struct queue *q, const struct queue_message *const messages[], size_t n) {
    (void)q;
    for (size_t i = 0; i < n; i++)
        note("%s%s", i == 0 ? "delete " : "", messages[i]->id);
    note("%s", n ? "; " : "");
    return QUEUE_OK;
}

enum queue_status queue_bury(struct queue *q, const struct queue_message *message, const char *reason) {
    (void)q;
    note("bury %s: %s; ", message->id, reason);
    return world.refuses_dead_letters ? QUEUE_UNAVAILABLE : QUEUE_OK;
}

/* Notes 0 or + for the seconds; those of a group that are not 0 must be the same. */
enum queue_status queue_set_visibility(struct queue *q, const struct queue_message *const messages[],
                                       const int seconds[], size_t n) {
    (void)q;
    for (size_t i = 0; i < n; i++) {
        note("%s%s%s", i == 0 ? "back " : "", messages[i]->id, seconds[i] == 0 ? "0" : "+");
        for (size_t k = 0; k < i; k++)
            if (strcmp(messages[i]->group_id, messages[k]->group_id) == 0 && seconds[k] != 0 &&
                seconds[i] != seconds[k])
                note(" not together");
        if (seconds[i] < 0 || seconds[i] > 30)
            note(" in %d s", seconds[i]);
    }
    note("%s", n ? "; " : "");
    return QUEUE_OK;
}
