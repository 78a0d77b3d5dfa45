/* What the files of the live feed share: feed.c has its readers come and go, feed_loop.c is its thread. */
#pragma once

#include "app.h"
#include "common/base/outage.h"
#include "feed_reader.h"

#include <pthread.h>
#include <stdatomic.h>

struct feed {
    struct order_app *app;
    struct db *db;
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping, changed, heard; /* heard: another replica has changed orders */

    /* Of the thread alone. */
    struct db_watch *watch; /* NULL: nobody has read here yet */
    bool owed;              /* other replicas have not been told of the last changes */
    int64_t keep_ms;        /* when the partitions of the history are looked after */
    int64_t notified_ms, swept_ms, again_ms;
    int64_t awaited_xid; /* events of the transactions below are looked for until all of them are over */
    unsigned failures;
    struct outage outage;

    pthread_mutex_t lock; /* guards what follows, and the readers */
    struct feed_reader *first, **end;
    size_t count;
    struct event_position tail; /* what the live readers have been given */
    bool draining;
};

/* Makes the partitions of the history for the next days, and drops the oldest, if it is time. Before the thread runs, or on
 * it. */
enum db_status feed_keep_history(struct feed *feed);

/* Has the thread look. */
void feed_nudge(struct feed *feed);

/* The thread's function; its argument is the feed. */
void *feed_follow(void *feed);

/* The following are called under the lock. */

/* Adds a reader, behind all others. */
void feed_link(struct feed_reader *reader);
/* Forgets a reader, and frees it. */
void feed_drop(struct feed_reader *reader);
/* Lets all others go first. */
void feed_move_back(struct feed_reader *reader);
/* The position up to which a reader was given all. A history of one order begins ahead of the tail, which waits for the
 * transactions of others. So a live reader may be ahead of it. */
const struct event_position *feed_reached(const struct feed_reader *reader);
/* Answers a long poll with what it has been given, and drops it. */
void feed_answer_poll(struct feed_reader *reader);
/* Ends a stream. It is dropped when its client has read the rest. */
void feed_end_stream(struct feed_reader *reader);
