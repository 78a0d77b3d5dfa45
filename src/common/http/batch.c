/* Lanes of waiting work, and the workers that take the work of a lane in batches. */
#include "batch.h"

#include "common/base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Batches over which the pace is averaged. */
enum { PACE_MEMORY = 8 };

struct lane { /* guarded by the pool's lock */
    struct batch_item *head, **tail;
    bool slow;        /* see is_slow; does not change */
    size_t max_batch; /* does not change */
    size_t queued;
    size_t taken;     /* places: queued items, and reserved ones that will be */
    size_t working;   /* batches that the next one waits for */
    int64_t taken_ms; /* when the last batch was taken */
    double pace_ms;   /* recent time per item, while there were many */
};

/* What a worker does at the moment; on its stack. */
struct batch_turn {
    struct batch_pool *pool;
    struct lane *lane;
    bool over; /* the next batch of the lane may begin */
};

struct worker {
    pthread_t thread;
    struct batch_pool *pool;
    void *state; /* of open_worker */
};

struct batch_pool {
    struct batch_options options;
    pthread_mutex_t lock; /* guards what follows, and the content of the lanes */
    pthread_cond_t work;  /* something was queued, or the pool is stopping */
    bool stopping;
    size_t slow_working; /* workers that have a batch of a slow lane */
    bool watched;        /* a worker waits until what gathers is due */
    size_t next_lane;    /* where the search for work begins, so that no lane starves */
    struct lane *lanes;
    struct worker *workers;
    size_t worker_count; /* running */
};

/* Whether the slow lanes have all the workers they may have. */
static bool must_wait(const struct batch_pool *pool, const struct lane *lane) {
    return lane->slow && pool->slow_working > 0 && pool->slow_working >= pool->options.workers / 2;
}

/* Whether a worker should take what waits. Behind a batch that does not let it begin, half a batch must gather first: few
 * large batches cost the database and Redis far less than many small ones. */
static bool is_due(const struct batch_pool *pool, const struct lane *lane, int64_t now_ms) {
    return lane->queued && !must_wait(pool, lane) &&
           (!lane->working || pool->stopping || lane->queued >= lane->max_batch / 2 ||
            now_ms - lane->head->queued_ms >= pool->options.gather_ms);
}

/* The lane to serve next. NULL when none is due; *gathering then says whether one will be. */
static struct lane *find_work(struct batch_pool *pool, bool *gathering) {
    int64_t now = clock_mono_ms();
    *gathering = false;
    for (size_t i = 0; i < pool->options.lanes; i++) {
        size_t index = (pool->next_lane + i) % pool->options.lanes;
        if (is_due(pool, &pool->lanes[index], now)) {
            pool->next_lane = index + 1;
            return &pool->lanes[index];
        }
        *gathering |= pool->lanes[index].queued > 0 && !must_wait(pool, &pool->lanes[index]);
    }
    return NULL;
}

/* Waits for work, or until what gathers is due. One idle worker is enough to wait for the latter. */
static void await_work(struct batch_pool *pool, bool gathering) {
    if (!gathering || pool->watched) {
        pthread_cond_wait(&pool->work, &pool->lock);
        return;
    }
    struct timespec due;
    clock_mono_after(pool->options.gather_ms, &due);
    pool->watched = true;
    pthread_cond_timedwait(&pool->work, &pool->lock, &due);
    pool->watched = false;
}

static bool drained(const struct batch_pool *pool) {
    for (size_t i = 0; i < pool->options.lanes; i++)
        if (pool->lanes[i].taken)
            return false;
    return true;
}

/* Only a full batch shows how fast the lane can empty. Its time begins when the previous batch was taken, or when
 * its own first item arrived, if that was later. */
static void note_pace(struct lane *lane, const struct batch_item *first, size_t n) {
    int64_t now = clock_mono_ms();
    int64_t since = first->queued_ms > lane->taken_ms ? first->queued_ms : lane->taken_ms;
    double pace = (double)(now - since) / (double)n;
    if (n == lane->max_batch && lane->taken_ms > 0)
        lane->pace_ms = lane->pace_ms > 0 ? lane->pace_ms + (pace - lane->pace_ms) / PACE_MEMORY : pace;
    lane->taken_ms = now;
}

/* Takes a batch from a lane that has work. */
static size_t take(struct batch_turn *turn, struct batch_item *items[static BATCH_LIMIT]) {
    struct lane *lane = turn->lane;
    size_t n = 0;
    do {
        lane->head->turn = turn;
        items[n++] = lane->head;
        lane->head = lane->head->next;
    } while (lane->head && n < lane->max_batch);
    if (!lane->head)
        lane->tail = &lane->head;
    lane->queued -= n;
    lane->taken -= n;
    note_pace(lane, items[0], n);
    return n;
}

/* The caller holds the lock. */
static void end_turn(struct batch_turn *turn) {
    turn->lane->working -= !turn->over;
    turn->over = true;
}

void batch_let_next(const struct batch_item *item) {
    struct batch_turn *turn = item->turn;
    pthread_mutex_lock(&turn->pool->lock);
    end_turn(turn);
    if (turn->lane->queued && !turn->lane->working)
        pthread_cond_signal(&turn->pool->work);
    pthread_mutex_unlock(&turn->pool->lock);
}

static void *work(void *arg) {
    pthread_setname_np(pthread_self(), "worker");
    struct worker *worker = arg;
    struct batch_pool *pool = worker->pool;
    struct batch_item *items[BATCH_LIMIT];
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        bool gathering;
        struct lane *lane = find_work(pool, &gathering);
        if (lane) {
            struct batch_turn turn = {.pool = pool, .lane = lane};
            size_t n = take(&turn, items);
            lane->working++;
            pool->slow_working += lane->slow;
            if (!pool->watched && !drained(pool))
                pthread_cond_signal(&pool->work); /* another worker, for what is left and what will come */
            pthread_mutex_unlock(&pool->lock);
            pool->options.run(pool->options.cls, (size_t)(lane - pool->lanes), worker->state, items, n);
            pthread_mutex_lock(&pool->lock);
            end_turn(&turn);
            pool->slow_working -= lane->slow;
        } else if (pool->stopping && drained(pool)) {
            break;
        } else {
            await_work(pool, gathering);
        }
    }
    pthread_cond_broadcast(&pool->work); /* the others may wait for the place that we emptied last */
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static bool batch_start_worker(struct batch_pool *pool) {
    const struct batch_options *o = &pool->options;
    struct worker *worker = &pool->workers[pool->worker_count];
    worker->pool = pool;
    worker->state = o->open_worker(o->cls);
    if (!worker->state)
        return false;
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        o->close_worker(o->cls, worker->state);
        return false;
    }
    pool->worker_count++;
    return true;
}

static bool batch_start(struct batch_pool *pool) {
    pool->lanes = calloc(pool->options.lanes, sizeof *pool->lanes);
    pool->workers = calloc(pool->options.workers + 1, sizeof *pool->workers);
    if (!pool->lanes || !pool->workers)
        return false;
    for (size_t i = 0; i < pool->options.lanes; i++) {
        struct lane *lane = &pool->lanes[i];
        lane->tail = &lane->head;
        lane->slow = pool->options.is_slow && pool->options.is_slow(pool->options.cls, i);
        lane->max_batch = pool->options.max_batch;
        if (lane->slow && lane->max_batch > BATCH_SLOW)
            lane->max_batch = BATCH_SLOW;
    }
    while (pool->worker_count < pool->options.workers)
        if (!batch_start_worker(pool))
            return false;
    return true;
}

struct batch_pool *batch_pool_start(const struct batch_options *options) {
    struct batch_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->options = *options;
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->work);
    if (batch_start(pool))
        return pool;
    batch_pool_stop(pool);
    batch_pool_free(pool);
    return NULL;
}

/* The first item of the lane has waited too long. */
static bool stands_still(const struct batch_pool *pool, const struct lane *lane, int64_t now_ms) {
    return lane->head && now_ms - lane->head->queued_ms > pool->options.patience_ms;
}

/* The workers cannot keep up. Items that fit in one batch do not count: they only wait for a free worker. */
static bool is_behind(const struct batch_pool *pool, const struct lane *lane) {
    return lane->taken >= lane->max_batch &&
           (double)lane->taken * lane->pace_ms > (double)pool->options.backlog_ms;
}

static bool has_room(const struct batch_pool *pool, const struct lane *lane, int64_t now_ms) {
    return !pool->stopping && lane->taken < pool->options.capacity && !stands_still(pool, lane, now_ms) &&
           !is_behind(pool, lane);
}

bool batch_has_room(struct batch_pool *pool, size_t index) {
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&pool->lock);
    bool room = has_room(pool, &pool->lanes[index], now);
    pthread_mutex_unlock(&pool->lock);
    return room;
}

bool batch_reserve(struct batch_pool *pool, size_t index) {
    int64_t now = clock_mono_ms();
    struct lane *lane = &pool->lanes[index];
    pthread_mutex_lock(&pool->lock);
    bool room = has_room(pool, lane, now);
    if (room)
        lane->taken++;
    pthread_mutex_unlock(&pool->lock);
    return room;
}

void batch_push(struct batch_pool *pool, size_t index, struct batch_item *item) {
    struct lane *lane = &pool->lanes[index];
    item->next = NULL;
    item->queued_ms = clock_mono_ms();
    pthread_mutex_lock(&pool->lock);
    *lane->tail = item;
    lane->tail = &item->next;
    lane->queued++;
    if (!pool->watched || is_due(pool, lane, item->queued_ms))
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void batch_pool_stop(struct batch_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        pool->options.close_worker(pool->options.cls, pool->workers[i].state);
    }
    pool->worker_count = 0;
}

void batch_pool_free(struct batch_pool *pool) {
    if (!pool)
        return;
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool->lanes);
    free(pool);
}
