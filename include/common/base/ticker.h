/* A thread that does one small job again and again until it is stopped. */
#pragma once

#include "common/base/attributes.h"

#include <stdint.h>

struct ticker;

/* Does the job once; returns in how many milliseconds to do it again (0: at once). On the ticker's thread. */
typedef int64_t ticker_fn(void *self);

/* The first call comes at once. NULL when out of memory or threads. */
struct ticker *ticker_start(ticker_fn *job, void *self);

/* Ends the wait at once and joins; a job that runs is finished first. NULL is fine. */
void ticker_stop(struct ticker *ticker);
