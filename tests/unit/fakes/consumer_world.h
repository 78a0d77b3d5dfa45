/* A queue and a database that are made up, and a consumer that works over them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/events/consumer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The world of one test: one batch to receive, and what happened. A message is "id group fate receives";
 * the fates are those of handle. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *batch;       /* NULL once it was received */
    unsigned probes_to_fail; /* of the database, from now on */
    unsigned full;           /* so many transactions fail on a full disk */
    unsigned lost_answers;   /* so many receives get no answer */
    unsigned queue_away;     /* so many checks of the queue fail */
    int visibility_timeout_s;
    bool stop_while_receiving, refuses_dead_letters;
    bool idle, interrupted, helped;
    struct buf trace;
} world = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .visibility_timeout_s = 3600};

static const struct db_query probe = {"probe", "SELECT"};

struct queue {
    const struct queue_options *options;
};

struct db {
    const struct db_options *options;
};

static void note(const char *format, ...) PRINTF_LIKE(1, 2);
static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(&world.trace, format, args);
    va_end(args);
}

struct queue *queue_open(const struct queue_options *options) {
    struct queue *q = malloc(sizeof *q);
    q->options = options;
    return q;
}

int queue_max_receive_count(const struct queue *q) {
    return q->options->max_receive_count;
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

static void wait_until(const bool *flag) {
    while (!*flag)
        pthread_cond_wait(&world.changed, &world.lock);
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
        world.helped = true;
        pthread_cond_broadcast(&world.changed);
        pthread_mutex_unlock(&world.lock);
        return QUEUE_OK;
    }
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

struct db *db_open(const struct db_options *options) {
    struct db *db = malloc(sizeof *db);
    db->options = options;
    return db;
}

void db_close(struct db *db) {
    free(db);
}

const char *db_error(const struct db *db) {
    (void)db;
    return "reason";
}

enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) {
    (void)db;
    (void)params;
    (void)result;
    if (query != &probe)
        note("another query; ");
    if (world.probes_to_fail == 0)
        return DB_OK;
    world.probes_to_fail--;
    note("away; ");
    return DB_UNAVAILABLE;
}

/* Fates: ok, bad, hopeless and unknown (known before the transaction), and what the database says of the transaction
 * it is in; busy only in company. */
static enum db_status handle(void *app, struct db *db, struct consumer_message messages[], size_t n) {
    (void)app;
    (void)db;
    enum db_status status = DB_OK;
    note("do ");
    for (size_t i = 0; i < n; i++) {
        const char *fate = messages[i].message->body;
        note("%s", messages[i].message->id);
        messages[i].outcome = CONSUMER_DONE;
        if (strcmp(fate, "bad") == 0)
            messages[i].outcome = CONSUMER_RETRY;
        if (strcmp(fate, "hopeless") == 0 || strcmp(fate, "unknown") == 0)
            messages[i].outcome = CONSUMER_HOPELESS;
        if (strcmp(fate, "unknown") == 0)
            messages[i].cause = CONSUMER_UNKNOWN_ORDER;
        if (messages[i].outcome != CONSUMER_DONE)
            snprintf(messages[i].reason, sizeof messages[i].reason, "it is %s", fate);
        if (strcmp(fate, "refused") == 0)
            status = DB_REFUSED;
        if (strcmp(fate, "large") == 0)
            status = DB_NO_MEMORY;
        if (strcmp(fate, "broken") == 0)
            status = DB_FAILED;
        if (strcmp(fate, "busy") == 0 && n > 1)
            status = DB_DEADLOCK;
        if (strcmp(fate, "lost") == 0 || (strcmp(fate, "lost-alone") == 0 && n == 1)) {
            status = DB_UNAVAILABLE;
            world.probes_to_fail = 1;
        }
        if (strcmp(fate, "locked") == 0 && world.full > 0) {
            status = DB_LOCK_TIMEOUT;
            world.full -= n == 1;
        }
        if (strcmp(fate, "gone") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
            world.probes_to_fail = 2;
        }
        if (strcmp(fate, "full") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
        }
    }
    note("; ");
    return status;
}

static struct consumer *start(const char *batch, unsigned threads) {
    const struct consumer_options options = {.queue = {.name = "q.fifo",
                                                       .max_receive_count = 3,
                                                       .visibility_timeout_s = world.visibility_timeout_s},
                                             .threads = threads,
                                             .wait_s = 20,
                                             .probe = &probe,
                                             .handle = handle};
    world.batch = batch;
    world.idle = world.interrupted = world.helped = false;
    buf_clear(&world.trace);
    buf_str(&world.trace, "");
    struct consumer *consumer = consumer_start(&options);
    assert_non_null(consumer);
    return consumer;
}

static void run(const char *batch) {
    struct consumer *consumer = start(batch, 1);
    pthread_mutex_lock(&world.lock);
    wait_until(&world.idle);
    pthread_mutex_unlock(&world.lock);
    consumer_stop(consumer);
}
