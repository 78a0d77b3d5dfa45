/* The transactional outbox: rows that are committed with the change they describe, and the relay thread that
 * publishes them in order and then deletes them.
 *
 * One relay per table is active, however many replicas run: that of the process that leads. A replica that is not
 * active wakes it with NOTIFY. A crash between publishing and deleting publishes an event twice, so consumers are
 * idempotent. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/session.h"
#include "common/queue/queue.h"

#include <stdbool.h>

#define OUTBOX_CALLS 4 /* to the queue at a time, at most */
#define OUTBOX_FILES (1 + QUEUE_FILES + (OUTBOX_CALLS - 1) * QUEUE_CALL_FILES) /* file descriptors at most */

struct outbox;

/* The columns of a table are: id bigint identity, event_id uuid, group_id uuid, payload text, correlation_id text,
 * traceparent text. Rows of one group are written under one row lock, so id orders them. */
struct outbox_options {
    const char *table; /* "order_outbox": also the name of the lock and of the channel; borrowed */
    struct db_options db;
    struct db_session *session; /* hears, and decides who leads */
    struct queue_options queue; /* calls: OUTBOX_CALLS at most */
};

/* Starts the relay, which waits for unavailable parts. NULL when out of memory or threads. */
struct outbox *outbox_start(const struct outbox_options *options);

/* Tells the relay that rows were committed. Any thread, never blocks. NULL is fine. */
void outbox_wake(struct outbox *outbox);

/* Publishes a last page of the waiting rows, until deadline_ms on clock_mono_ms's clock. Then stops the thread and
 * frees. NULL is fine. */
void outbox_stop(struct outbox *outbox, int64_t deadline_ms);
