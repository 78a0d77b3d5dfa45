/* The bounded queues between the HTTP threads and the workers, and the workers themselves.
 *
 * A lane is one queue of work of one kind. A free worker takes all that waits in a lane, up to max_batch, as one
 * batch. While it works the next batch gathers. Another worker takes that when the first is done, or when half a
 * batch has gathered, or when its first item has waited for 5 ms. At low load a batch is one item and waits for
 * nothing. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_LIMIT 1024

struct batch_pool;

struct batch_item { /* embedded in what is queued */
    struct batch_item *next;
    int64_t queued_ms; /* set by batch_push, on clock_mono_ms's clock */
};

struct batch_options {
    /* Called on a worker's thread with what open_worker returned. The items are the callee's now. */
    void (*run)(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n);
    /* Called on the caller's thread, before the worker starts; NULL fails the pool. */
    void *(*open_worker)(void *cls);
    void (*close_worker)(void *cls, void *worker);
    void *cls;
    size_t workers, lanes;
    /* Of each lane: */
    size_t capacity;     /* most items waiting */
    int64_t patience_ms; /* a lane whose first item has waited for longer counts as full */
    int64_t backlog_ms;  /* so does one whose items will take longer, at the pace of the last ones */
    size_t max_batch;    /* most items in one batch, 1..BATCH_LIMIT */
};

/* Starts the workers. NULL when out of memory or threads. */
struct batch_pool *batch_pool_start(const struct batch_options *options);

/* Whether batch_reserve would succeed now: asked before work that is in vain when it would not. Any thread. */
bool batch_has_room(struct batch_pool *pool, size_t lane);

/* Takes a place in the lane: false when it is full or the pool is stopping. A place taken must be filled by
 * batch_push, at once. Any thread. */
bool batch_reserve(struct batch_pool *pool, size_t lane) MUST_CHECK;
void batch_push(struct batch_pool *pool, size_t lane, struct batch_item *item);

/* Refuses new items from now on, lets the workers finish what waits, joins and closes them. */
void batch_pool_stop(struct batch_pool *pool);

/* Frees a pool that was stopped and that no thread uses any more. NULL is fine. */
void batch_pool_free(struct batch_pool *pool);
