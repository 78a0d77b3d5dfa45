/* Exponential backoff with full jitter: how long to wait after a failure. */
#pragma once

#include "common/base/random.h"

#include <stdint.h>

/* A uniform number of milliseconds in 1..min(cap, base * 2^failures). failures counts the failures before this
 * one. */
static inline int64_t backoff_ms(unsigned failures, int64_t base_ms, int64_t cap_ms) {
    int64_t limit = failures < 20 ? base_ms << failures : cap_ms;
    return 1 + (int64_t)random_below((uint64_t)(limit < cap_ms ? limit : cap_ms));
}
