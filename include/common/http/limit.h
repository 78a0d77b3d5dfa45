/* How often somebody may do something: quota times at once, and again evenly over a window.
 *
 * Of each key one number is kept: when its quota is whole again (GCRA, a token bucket without the bucket).
 * The table has a fixed size. Where it is full the key gives way that is whole soonest, and begins anew
 * should it come back: so a million addresses that come once push out each other, not the one that comes
 * again and again. Nothing is shared between processes: N replicas together allow N times the quota. Any
 * thread; never blocks on I/O. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_MAX_QUOTA 1000000

struct limit;

struct limit_policy {
    const char *name; /* static; what clients are told */
    int64_t quota;    /* 0: no limit; at most LIMIT_MAX_QUOTA */
    int64_t window_s;
};

struct limit_state {
    const struct limit_policy *policy; /* NULL: no limit */
    bool refused;
    int64_t left;    /* of the quota */
    int64_t wait_ms; /* until there is one more */
    int64_t report;  /* refusals since the last report, this one included: once a minute; else 0 */
};

/* Copies the policy. NULL when out of memory. */
struct limit *limit_new(const struct limit_policy *policy);
void limit_free(struct limit *limit); /* NULL is fine */

/* Counts one time, unless it is refused. now_ms is clock_mono_ms's. */
struct limit_state limit_take(struct limit *limit, const void *key, size_t len, int64_t now_ms) MUST_CHECK;

/* What limit_take would say of refused, without counting. */
struct limit_state limit_look(struct limit *limit, const void *key, size_t len, int64_t now_ms) MUST_CHECK;

/* Counts one time that has happened; beyond the quota it changes nothing. */
void limit_count(struct limit *limit, const void *key, size_t len, int64_t now_ms);
