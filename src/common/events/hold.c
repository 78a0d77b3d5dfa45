/* The limits of holding a batch. */
#include "hold.h"

void hold_begin(struct hold *hold, int64_t now_ms) {
    *hold = (struct hold){.left_ms = HOLD_MS, .latest_ms = now_ms + HOLD_AWAY_MS};
}

bool hold_goes_on(const struct hold *hold, int64_t now_ms) {
    return hold->left_ms > 0 && now_ms < hold->latest_ms && hold->tries < HOLD_TRIES;
}

void hold_count(struct hold *hold, int64_t took_ms, bool tried) {
    hold->left_ms -= took_ms;
    hold->tries += tried;
}
