/* The consumer of a queue: threads that receive, hand each batch of messages to the daemon, and delete after
 * the daemon's commit what it accepted. One of them long-polls; the others come while batches are full.
 *
 * A message that fails keeps its place: it and the later ones of its group in the batch come back after a
 * backoff, and the server moves it to the dead-letter queue after maxReceiveCount receives. One that is
 * hopeless is put there at once. Other groups go on. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/queue/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consumer;

#define CONSUMER_REASON_SIZE 256

enum consumer_outcome {
    CONSUMER_RETRY,    /* failed: comes back */
    CONSUMER_DONE,     /* its effect is committed, or it needs none: may be deleted */
    CONSUMER_HOPELESS, /* failed and would again, whenever and wherever it is tried: a dead letter */
};

struct consumer_message {
    const struct queue_message *message;
    enum consumer_outcome outcome;     /* out */
    char reason[CONSUMER_REASON_SIZE]; /* out: why not done, for the log and its dead letter; printable */
};

/* Applies a batch in one transaction, on the consumer's thread, with its own connection. Returns DB_OK when
 * the transaction is committed: then outcome and reason count, message by message. Another status: nothing
 * is committed; after DB_UNAVAILABLE the messages come back later, else each is tried again by itself. */
typedef enum db_status consumer_fn(void *app, struct db *db, struct consumer_message messages[], size_t n);

struct consumer_options {
    struct db_options db;
    struct queue_options queue;
    unsigned threads;
    int wait_s; /* long poll */
    /* Succeeds when the database can take what handle writes: asked before messages are received, so that an
     * outage does not use up their receives. */
    const struct db_query *probe;
    consumer_fn *handle;
    void *app;
};

/* NULL when out of memory or threads. Waits by itself for parts that are away. */
struct consumer *consumer_start(const struct consumer_options *options);

/* Ends the long polls, lets the batches at work finish, joins, frees. NULL is fine. */
void consumer_stop(struct consumer *consumer);
