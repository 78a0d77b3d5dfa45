/* A circuit breaker: when too many calls of a part fail, the next ones are refused at once for a while, and
 * then a few are let through to see whether it is back.
 *
 * It looks at the last 20 calls and opens when, of at least 10, half have failed. It stays open for about 5 s
 * (jittered, so that those who share a part do not come back together); three successes in a row close it, a
 * failure before opens it again. Pure but for the jitter; belongs to one thread at a time. */
#pragma once

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct breaker { /* all zero: closed, nothing seen */
    enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRYING } state;
    uint32_t failed; /* bit i: the call before i others failed */
    unsigned calls;  /* of the window, or successes while trying */
    int64_t open_until_ms;
};

/* Whether a call may be made now. Its outcome must be noted. */
bool breaker_allows(struct breaker *breaker, int64_t now_ms) MUST_CHECK;

/* Notes the outcome of a call. True when this failure opened it: an outage begins. */
bool breaker_note(struct breaker *breaker, bool success, int64_t now_ms);
