/* The rest of a relay and of a consumer after a turn that was not full. What comes meanwhile is done together: calls to the
 * queue and transactions cost most of it for themselves. Turns take the longer the more the machine has to do, so the
 * rests grow with the load. What comes after a quiet time is done at once. */
#pragma once

#include <stdint.h>

enum {
    PACE_RESTS = 2, /* times as long as the turn took */
    PACE_CAP_MS = 50,
};

static inline int64_t pace_rest_ms(int64_t took_ms) {
    return took_ms < PACE_CAP_MS / PACE_RESTS ? took_ms * PACE_RESTS : PACE_CAP_MS;
}
