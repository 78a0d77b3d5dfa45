/* The transactional outbox: rows committed with the change they speak of, and the relay thread that publishes
 * them in their order and then deletes them.
 *
 * One relay is active per daemon type however many replicas run: an advisory lock elects it, and a replica
 * that is not active tells it with NOTIFY. A crash between publish and delete publishes twice; consumers are
 * idempotent. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/queue/queue.h"

#include <stdbool.h>

struct outbox;

/* A table has: id bigint identity, event_id uuid, group_id uuid, payload text, correlation_id text,
 * traceparent text. Rows of one group are written under one row lock, so id orders them. */
struct outbox_options {
    const char *table; /* "order_outbox": also the lock's and the channel's name */
    struct db_options db;
    struct queue_options queue;
};

/* Starts the relay; it waits by itself for parts that are away. NULL when out of memory or threads. */
struct outbox *outbox_start(const struct outbox_options *options);

/* Tells the relay that rows were committed. Any thread, never blocks. NULL is fine. */
void outbox_wake(struct outbox *outbox);

/* Publishes a last page of what waits, until deadline_ms on clock_mono_ms's clock, stops the thread, frees.
 * NULL is fine. */
void outbox_stop(struct outbox *outbox, int64_t deadline_ms);
