/* The world of a consumer that is tested: what it will meet, and what it did. */
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
    const char *more;        /* what the next call brings that does not wait */
    pthread_t poller;        /* who waits */
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

static void note(const char *format, ...) PRINTF_LIKE(1, 2);
static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(&world.trace, format, args);
    va_end(args);
}

static void wait_until(const bool *flag) {
    while (!*flag)
        pthread_cond_wait(&world.changed, &world.lock);
}
