/* Bounds lines of the log that anybody can cause: the first of a second are written, the others are counted. */
#pragma once

#include "common/base/attributes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_PER_SECOND 20

struct log_limit {          /* zero-initialise */
    atomic_llong second;    /* of clock_mono_ms's clock */
    atomic_uint lines;      /* asked for in this second */
    atomic_ullong left_out; /* not reported yet */
};

/* Whether one more line about a subject ("failed logins") may be written at now_ms. If lines were left out before, it
 * writes a line that tells how many. Any thread; never waits. */
bool log_limit_allows(struct log_limit *limit, const char *subject, int64_t now_ms) MUST_CHECK;
