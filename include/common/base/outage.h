/* An outage, told to the log once when it begins and once when it ends, however many calls fail in between. */
#pragma once

#include "common/base/attributes.h"

#include <stdatomic.h>
#include <stdbool.h>

struct outage {
    const char *name;       /* who suffers, e.g. "carrier"; borrowed */
    atomic_llong since_ms;  /* on clock_mono_ms's clock; 0: there is none */
    atomic_ullong failures; /* since it began */
};

/* A call failed: the reason is logged if this begins the outage. Any thread. True when it did. */
bool outage_begin(struct outage *outage, const char *format, ...) PRINTF_LIKE(2, 3);

/* A call succeeded: if there was an outage, its end is logged, with its length and the number of failures. Any
 * thread; costs one atomic load while all is well. */
void outage_end(struct outage *outage);
