/* Logs an outage once when it begins and once when it ends, however many calls fail in between. */
#pragma once

#include "common/base/attributes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct outage {
    const char *name; /* what is unavailable, e.g. "carrier"; borrowed */
    int64_t quiet_ms; /* it ends with a success this long after the last failure, where both may alternate */
    atomic_llong failed_ms; /* when the last call failed */
    atomic_llong since_ms;  /* on clock_mono_ms's clock; 0: no outage */
    atomic_ullong failures; /* since it began */
};

/* Records a failed call. If it begins an outage, logs the reason and returns true. Any thread. */
bool outage_begin(struct outage *outage, const char *format, ...) PRINTF_LIKE(2, 3);

/* Records a successful call. If that ends an outage, logs the duration and the number of failures. Any thread. Costs
 * one atomic load while there is no outage. */
void outage_end(struct outage *outage);
