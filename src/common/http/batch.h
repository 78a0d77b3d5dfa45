/* The bounded queues between the HTTP threads and the workers, and the workers themselves.
 *
 * A lane is a queue of one kind of work. A free worker takes everything that waits in a lane, up to max_batch
 * items, as one batch. While it works, the next batch gathers. Another worker takes that one when the first batch
 * is done or lets it begin, when half a batch has gathered, or when its first item has waited for gather_ms. At low load
 * a batch is one item, which does not wait. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_LIMIT 1024
#define BATCH_SLOW 8

struct batch_pool;
struct batch_turn;

struct batch_item { /* embedded in what is queued */
    struct batch_item *next;
    int64_t queued_ms;       /* set by batch_push, on clock_mono_ms's clock */
    struct batch_turn *turn; /* of the worker that took it */
};

struct batch_options {
    /* Called on a worker's thread with what open_worker returned. The callee now owns the items. */
    void (*run)(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n);
    /* Called on the caller's thread, before the worker starts. NULL fails the pool. */
    void *(*open_worker)(void *cls);
    void (*close_worker)(void *cls, void *worker);
    void *cls;
    size_t workers, lanes;
    /* Whether the work of a lane takes long. Such lanes together get at most half of the workers (but one at least), and
     * batches of at most BATCH_SLOW items. So the other lanes always find a worker soon. NULL: no lane. */
    bool (*is_slow)(void *cls, size_t lane);
    /* For each lane: */
    size_t capacity;     /* maximum of waiting items */
    int64_t patience_ms; /* a lane counts as full when its first item has waited longer */
    int64_t backlog_ms;  /* and when its items will take longer, at the recent pace */
    size_t max_batch;    /* maximum items of one batch, 1..BATCH_LIMIT */
    int64_t gather_ms;   /* about how long a batch gathers at most behind another one */
};

/* Starts the workers. NULL when out of memory or threads. */
struct batch_pool *batch_pool_start(const struct batch_options *options);

/* Whether batch_reserve would succeed now. Spares the caller work that would be in vain. Any thread. */
bool batch_has_room(struct batch_pool *pool, size_t lane);

/* Reserves a place in the lane. False when the lane is full or the pool is stopping. The caller must fill the place
 * with batch_push immediately. Any thread. */
bool batch_reserve(struct batch_pool *pool, size_t lane) MUST_CHECK;
void batch_push(struct batch_pool *pool, size_t lane, struct batch_item *item);

/* The next batch of the lane may begin before this one is done: what is left of this one is not what the next one has to
 * wait for. Called by run, with any item that it owns; a further call does nothing. */
void batch_let_next(const struct batch_item *item);

/* Refuses new items from now on, lets the workers finish what waits, joins the workers and closes them. */
void batch_pool_stop(struct batch_pool *pool);

/* Frees a stopped pool that no thread uses any more. NULL is fine. */
void batch_pool_free(struct batch_pool *pool);
