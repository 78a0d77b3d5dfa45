/* A thread that does one small job again and again until it is stopped. */
#pragma once

#include "common/base/attributes.h"

#include <stdint.h>

struct ticker;

/* Does the job once, on the ticker's thread. Returns the milliseconds until the next run (0: immediately). */
typedef int64_t ticker_fn(void *self);

/* The first run is immediate. NULL when out of memory or threads. */
struct ticker *ticker_start(ticker_fn *job, void *self);

/* Runs the job soon, or again when it is running. Any thread; does not wait. */
void ticker_wake(struct ticker *ticker);

/* Lets no further run begin. Any thread; does not wait for a running one, as ticker_stop does. */
void ticker_end(struct ticker *ticker);

/* Ends the wait, lets a running job finish, joins the thread and frees. NULL is fine. */
void ticker_stop(struct ticker *ticker);
