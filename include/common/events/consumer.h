/* The consumer of a queue. Its threads receive messages, hand each batch to the daemon, and delete the messages
 * that the daemon has committed. One thread of each shard long-polls; the others help while batches are full.
 *
 * A message that fails keeps its place. It and the later messages of its group in the batch are redelivered after a
 * backoff. After maxReceiveCount receives the server moves it to the dead-letter queue. A message that cannot
 * succeed is put there immediately. Other groups go on. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/queue/queue.h"
#include "common/tracing/tracing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSUMER_BATCH 50 /* messages of a transaction at most: those of five calls */
#define CONSUMER_FILES(threads)                                                                              \
    (1 + (threads)*2 * QUEUE_FILES) /* file descriptors at most, besides the database's */

struct consumer;

#define CONSUMER_REASON_SIZE 256

enum consumer_outcome {
    CONSUMER_RETRY,    /* failed: will be redelivered */
    CONSUMER_DONE,     /* its effect is committed, or it needs none: will be deleted */
    CONSUMER_HOPELESS, /* cannot succeed, whenever and wherever it is tried: a dead letter */
};

enum consumer_cause {                             /* why a message was not processed, for the metrics */
                      CONSUMER_MALFORMED,         /* a dead letter: it is no event of its queue */
                      CONSUMER_UNKNOWN_ORDER,     /* a dead letter */
                      CONSUMER_CONTRADICTION,     /* a dead letter: it says what cannot be */
                      CONSUMER_TOO_MANY_RECEIVES, /* a dead letter: it failed until its receives were used up */
                      CONSUMER_REFUSED,           /* comes back: the database refused it */
                      CONSUMER_NO_MEMORY,         /* comes back */
                      CONSUMER_BLOCKED,           /* comes back: it waits for one of its group that failed */
                      CONSUMER_DATABASE_AWAY,     /* comes back */
                      CONSUMER_UNBURIED,          /* comes back: the dead-letter queue did not take it */
                      CONSUMER_STOPPING,          /* comes back: the daemon stops */
                      CONSUMER_CAUSES,
};

struct consumer_message {
    const struct queue_message *message;
    char trace[TRACE_SIZE];        /* for what follows from the message; "": it came without a trace */
    enum consumer_outcome outcome; /* out */
    enum consumer_cause
        cause; /* out, of a hopeless one: malformed unless said otherwise; else set by the consumer */
    /* Set by the consumer: */
    bool buried;                       /* became a dead letter */
    bool busy;                         /* somebody holds what it needs in the database */
    bool settled;                      /* the queue knows already what became of it */
    char reason[CONSUMER_REASON_SIZE]; /* out: why it failed, for the log and its dead letter; printable */
};

/* Applies a batch of at most CONSUMER_BATCH messages, on a consumer's thread. DB_OK means that all is committed. Then the
 * outcome and reason of each message count. With any other status nothing need be committed; what is has no effect when it
 * is applied again. After DB_UNAVAILABLE the batch is tried again later, otherwise each message is tried alone. */
typedef enum db_status consumer_fn(void *app, struct db *db, struct consumer_message messages[], size_t n);

struct consumer_options {
    struct db_options db;
    struct queue_options queue;
    unsigned threads; /* one for each shard of the queue at least */
    int wait_s;       /* long poll */
    /* Succeeds when the database can take what handle writes. It runs before messages are received, so that an
     * outage does not use up their receives. */
    const struct db_query *probe;
    consumer_fn *handle;
    const char *action; /* what handle does, for its span: "create shipments"; static */
    void *app;
};

/* Starts the threads, which wait for unavailable parts. NULL when out of memory or threads. */
struct consumer *consumer_start(const struct consumer_options *options);

/* Ends the long polls, lets batches in progress finish, joins the threads and frees. NULL is fine. */
void consumer_stop(struct consumer *consumer);
