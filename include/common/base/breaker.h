/* A circuit breaker. When too many calls of a part fail, it refuses further calls for a while. Then it lets a few
 * through, to see whether the part works again.
 *
 * One breaker protects one part. All connections of the process to that part share it, on any thread. It looks at
 * the last 20 calls. It opens when there are at least 10 and half of them have failed. It stays open for about 5 s.
 * That time is jittered, so that the processes that share a part do not return together. Then it lets 3 calls
 * through. It closes after 3 successes, and opens again when one fails. Every 5 s it lets another 3 calls through, so an
 * outcome that comes late or never blocks nobody. Their successes add up: a process that makes a call each 20 s closes it,
 * too. */
#pragma once

#include "common/base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker {
    pthread_mutex_t lock;
    enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRYING } state;
    uint32_t failed; /* bit i: the call i calls before the last one failed */
    unsigned calls;  /* in the window, or successes while trying */
    unsigned trials; /* let through while trying */
    int64_t next_ms; /* when the next trials begin */
};

#define BREAKER_INIT                                                                                         \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

/* Whether a call may be made now. */
bool breaker_allows(struct breaker *breaker, int64_t now_ms) MUST_CHECK;

/* Records the outcome of a call. True when this failure opened the breaker, so that an outage begins. */
bool breaker_note(struct breaker *breaker, bool success, int64_t now_ms);

/* Opens the breaker at once: the part has said that it will not do what is asked of it. */
void breaker_trip(struct breaker *breaker, int64_t now_ms);

/* Whether it refuses calls, or only tries a few. It does not while nobody calls: the next call would be tried. */
bool breaker_is_open(struct breaker *breaker, int64_t now_ms);
