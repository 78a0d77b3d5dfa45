/* Rate limits: GCRA in a table of fixed size. */
#include "common/http/limit.h"

#include "common/base/random.h"
#include "common/base/siphash.h"

#include <pthread.h>
#include <stdlib.h>

#define MS INT64_C(1000000) /* a millisecond in nanoseconds, the unit of all times in this file */
#define SECOND (1000 * MS)
#define REPORT_EVERY (60 * SECOND)

enum { SETS = 8192, WAYS = 8 }; /* a key is in one of the ways of one set; 1 MiB in all */

struct cell {
    uint64_t key;  /* its hash */
    int64_t whole; /* when its quota is whole again; if in the past, the cell is free */
};

struct limit {
    struct limit_policy policy;
    int64_t interval; /* after which one more use is allowed */
    uint8_t secret[SIPHASH_SECRET_SIZE];
    pthread_mutex_t lock; /* guards what follows; only held for a look at one set, so one lock is enough */
    int64_t refusals, next_report;
    struct cell cells[SETS][WAYS];
};

struct limit *limit_new(const struct limit_policy *policy) {
    struct limit *limit = calloc(1, sizeof *limit);
    if (!limit)
        return NULL;
    limit->policy = *policy;
    if (policy->quota > 0)
        limit->interval = policy->window_s * SECOND / policy->quota;
    random_bytes(limit->secret, sizeof limit->secret);
    pthread_mutex_init(&limit->lock, NULL);
    return limit;
}

void limit_free(struct limit *limit) {
    if (!limit)
        return;
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

/* The key's cell, or the cell that is evicted for it. */
static struct cell *limit_find(struct cell set[static WAYS], uint64_t key) {
    struct cell *least = set;
    for (struct cell *cell = set; cell < set + WAYS; cell++) {
        if (cell->key == key)
            return cell;
        if (cell->whole < least->whole)
            least = cell;
    }
    return least;
}

enum limit_change { LIMIT_NONE, LIMIT_TAKE, LIMIT_GIVE_BACK };

static struct limit_state limit_ask(struct limit *limit, const void *key, size_t len, int64_t now,
                                    enum limit_change change) {
    if (limit->policy.quota == 0)
        return (struct limit_state){0};
    struct limit_state state = {.policy = &limit->policy};
    uint64_t hash = siphash(limit->secret, key, len);
    int64_t whole = limit->interval * limit->policy.quota;

    pthread_mutex_lock(&limit->lock);
    struct cell *cell = limit_find(limit->cells[hash % SETS], hash);
    int64_t used = cell->key == hash && cell->whole > now ? cell->whole - now : 0;
    if (change == LIMIT_GIVE_BACK && used > 0) {
        used = used > limit->interval ? used - limit->interval : 0;
        cell->whole = now + used;
    }
    state.refused = used + limit->interval > whole;
    if (change == LIMIT_TAKE && !state.refused) {
        used += limit->interval;
        *cell = (struct cell){hash, now + used};
    }
    pthread_mutex_unlock(&limit->lock);

    state.left = state.refused ? 0 : (whole - used) / limit->interval;
    state.wait_ms = ((state.left + 1) * limit->interval - (whole - used) + MS - 1) / MS;
    return state;
}

static int64_t limit_report(struct limit *limit, int64_t now) {
    int64_t count = 0;
    pthread_mutex_lock(&limit->lock);
    limit->refusals++;
    if (now >= limit->next_report) {
        count = limit->refusals;
        limit->refusals = 0;
        limit->next_report = now + REPORT_EVERY;
    }
    pthread_mutex_unlock(&limit->lock);
    return count;
}

struct limit_state limit_take(struct limit *limit, const void *key, size_t len, int64_t now_ms) {
    struct limit_state state = limit_ask(limit, key, len, now_ms * MS, LIMIT_TAKE);
    if (state.refused)
        state.report = limit_report(limit, now_ms * MS);
    return state;
}

struct limit_state limit_look(struct limit *limit, const void *key, size_t len, int64_t now_ms) {
    struct limit_state state = limit_ask(limit, key, len, now_ms * MS, LIMIT_NONE);
    if (state.refused)
        state.report = limit_report(limit, now_ms * MS);
    return state;
}

void limit_count(struct limit *limit, const void *key, size_t len, int64_t now_ms) {
    (void)limit_ask(limit, key, len, now_ms * MS, LIMIT_TAKE);
}

struct limit_state limit_give_back(struct limit *limit, const void *key, size_t len, int64_t now_ms) {
    return limit_ask(limit, key, len, now_ms * MS, LIMIT_GIVE_BACK);
}
