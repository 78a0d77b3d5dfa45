/* Rate limits: how often a key may do something. It may use its whole quota at once, and gets it back evenly over a
 * window.
 *
 * For each key we store one number: the time when its quota is whole again (GCRA, a token bucket without the
 * bucket). The table has a fixed size. When there is no room for a new key, the key whose quota is whole first is
 * evicted, and begins anew if it comes back. So a million addresses that come once evict each other, not the one
 * that comes again and again. Nothing is shared between processes: N replicas together allow N times the quota. Any
 * thread; never blocks on I/O. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_MAX_QUOTA 1000000

struct limit;

struct limit_policy {
    const char *name; /* static; shown to clients */
    int64_t quota;    /* 0: no limit; at most LIMIT_MAX_QUOTA */
    int64_t window_s;
};

struct limit_state {
    const struct limit_policy *policy; /* NULL: no limit */
    bool refused;
    int64_t left;    /* of the quota */
    int64_t wait_ms; /* until one more use is allowed */
    int64_t report;  /* refusals since the last report, with this one: once a minute; else 0 */
};

/* Copies the policy. NULL when out of memory. */
struct limit *limit_new(const struct limit_policy *policy);
void limit_free(struct limit *limit); /* NULL is fine */

/* Counts one use, unless it is refused. now_ms is clock_mono_ms's. */
struct limit_state limit_take(struct limit *limit, const void *key, size_t len, int64_t now_ms) MUST_CHECK;

/* Whether limit_take would refuse, without counting a use. */
struct limit_state limit_look(struct limit *limit, const void *key, size_t len, int64_t now_ms) MUST_CHECK;

/* Takes back one use that limit_take counted, because nothing came of it. The state is the one after that. */
struct limit_state limit_give_back(struct limit *limit, const void *key, size_t len, int64_t now_ms);

/* Counts one use that has already happened. Does nothing when the quota is used up. */
void limit_count(struct limit *limit, const void *key, size_t len, int64_t now_ms);
