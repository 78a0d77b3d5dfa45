/* A circuit breaker: when too many calls of a part fail, the next ones are refused at once for a while, and
 * then a few are let through to see whether it is back.
 *
 * It judges a part: one serves all of a process's connections to it, on any thread. It looks at the last 20
 * calls and opens when, of at least 10, half have failed. It stays open for about 5 s (jittered, so that
 * those who share a part do not come back together), then lets 3 calls through: their success closes it, a
 * failure opens it anew. Another 3 are let through every 5 s, so that one whose outcome comes late, or never,
 * holds nobody back. */
#pragma once

#include "common/base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker {
    pthread_mutex_t lock;
    enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRYING } state;
    uint32_t failed; /* bit i: the call before i others failed */
    unsigned calls;  /* of the window, or successes while trying */
    unsigned trials; /* let through while trying */
    int64_t next_ms; /* when the next trials begin */
};

#define BREAKER_INIT                                                                                         \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

/* Whether a call may be made now. */
bool breaker_allows(struct breaker *breaker, int64_t now_ms) MUST_CHECK;

/* Notes the outcome of a call. True when this failure opened it: an outage begins. */
bool breaker_note(struct breaker *breaker, bool success, int64_t now_ms);
