/* Lending connections, first come, first served. */
#include "common/db/pool.h"

#include "common/base/clock.h"
#include "private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_LATE = 2, DB_SHARES = DB_LATE + 1 };

struct turn { /* of one who waits, on its stack */
    struct turn *next;
    enum db_share share;
    struct db *lent; /* its turn has come */
    pthread_cond_t changed;
};

struct db_pool {
    const char *name;
    struct metric_series *waits, *timeouts;
    atomic_uint connects;
    pthread_mutex_t lock; /* guards what follows */
    struct turn *first, **last;
    unsigned borrowers;
    size_t lent[DB_SHARES], most[DB_SHARES]; /* of each kind, together with those that may have less */
    size_t size;
    struct place {
        struct db *db;
        bool taken;
        enum db_share share;
    } list[];
};

static void set_limits(struct db_pool *pool, size_t size) {
    pool->most[DB_PROMPT] = size;
    pool->most[DB_BULK] = size > 1 ? size - 1 : 1;
    pool->most[DB_LATE] = pool->most[DB_BULK] > 1 ? pool->most[DB_BULK] - 1 : 1;
    if (pool->most[DB_LATE] > MOST_LATE)
        pool->most[DB_LATE] = MOST_LATE;
}

struct db_pool *db_pool_new(const struct db_options *options, const char *name, size_t size) {
    struct db_pool *pool = calloc(1, sizeof *pool + size * sizeof pool->list[0]);
    if (!pool)
        return NULL;
    pool->name = name;
    set_limits(pool, size);
    pool->waits = metric_series(METRIC_DB_WAIT, METRIC_LABELS(DB_SYSTEM, name));
    pool->timeouts = metric_series(METRIC_DB_WAIT_TIMEOUTS, METRIC_LABELS(DB_SYSTEM, name));
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    for (; pool->size < size; pool->size++) {
        struct db *db = db_open(options);
        if (!db) {
            db_pool_free(pool);
            return NULL;
        }
        db->connects = &pool->connects;
        pool->list[pool->size].db = db;
    }
    return pool;
}

void db_pool_free(struct db_pool *pool) {
    if (!pool)
        return;
    for (size_t i = 0; i < pool->size; i++)
        db_close(pool->list[i].db);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Each borrower prefers one connection, which has prepared its statements. */
void db_pool_enter(struct db *borrower) {
    struct db_pool *pool = borrower->options.pool;
    pthread_mutex_lock(&pool->lock);
    borrower->slot = pool->borrowers++ % pool->size;
    pthread_mutex_unlock(&pool->lock);
}

/* The caller holds the lock, as in what follows. */
static bool may_take(const struct db_pool *pool, enum db_share share) {
    for (int i = DB_PROMPT; i <= (int)share; i++)
        if (pool->lent[i] >= pool->most[i])
            return false;
    return true;
}

static void lend_place(struct db_pool *pool, struct place *place, enum db_share share) {
    place->taken = true;
    place->share = share;
    for (int i = DB_PROMPT; i <= (int)share; i++)
        pool->lent[i]++;
}

static void free_place(struct db_pool *pool, struct place *place) {
    place->taken = false;
    for (int i = DB_PROMPT; i <= (int)place->share; i++)
        pool->lent[i]--;
}

/* NULL when none is for it. Nobody waits then who might take one that is free. */
static struct db *take_free(struct db_pool *pool, size_t preferred, enum db_share share) {
    for (size_t i = 0; i < pool->size && may_take(pool, share); i++) {
        struct place *place = &pool->list[(preferred + i) % pool->size];
        if (place->taken)
            continue;
        lend_place(pool, place, share);
        return place->db;
    }
    return NULL;
}

static struct turn *next_turn(const struct db_pool *pool) {
    struct turn *turn = pool->first;
    while (turn && !may_take(pool, turn->share))
        turn = turn->next;
    return turn;
}

static void leave_queue(struct db_pool *pool, struct turn *turn) {
    struct turn **at = &pool->first;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    if (!turn->next)
        pool->last = at;
}

/* Waits for a turn. NULL after limit_ms. */
static struct db *wait_for_turn(struct db_pool *pool, int64_t limit_ms, enum db_share share) {
    struct turn turn = {.share = share};
    struct timespec limit;
    clock_mono_after(limit_ms, &limit);
    clock_cond_init(&turn.changed);
    *pool->last = &turn;
    pool->last = &turn.next;
    while (!turn.lent && pthread_cond_timedwait(&turn.changed, &pool->lock, &limit) == 0)
        ;
    if (!turn.lent)
        leave_queue(pool, &turn);
    pthread_cond_destroy(&turn.changed);
    return turn.lent;
}

struct db *db_pool_take(struct db *borrower) {
    struct db_pool *pool = borrower->options.pool;
    int64_t began_ns = clock_mono_ns();
    pthread_mutex_lock(&pool->lock);
    struct db *db = take_free(pool, borrower->slot, borrower->options.share);
    if (!db)
        db = wait_for_turn(pool, borrower->options.statement_timeout_ms + DB_GRACE_MS,
                           borrower->options.share);
    pthread_mutex_unlock(&pool->lock);
    metric_observe(pool->waits, clock_mono_ns() - began_ns, NULL);
    metric_add(pool->timeouts, !db);
    if (!db)
        snprintf(borrower->error, sizeof borrower->error, "all connections of %s are busy", pool->name);
    return db;
}

void db_pool_give_back(struct db_pool *pool, struct db *db) {
    pthread_mutex_lock(&pool->lock);
    struct place *place = pool->list;
    while (place->db != db)
        place++;
    free_place(pool, place);
    struct turn *turn = next_turn(pool);
    if (turn) {
        leave_queue(pool, turn);
        lend_place(pool, place, turn->share);
        turn->lent = db;
        pthread_cond_signal(&turn->changed);
    }
    pthread_mutex_unlock(&pool->lock);
}
