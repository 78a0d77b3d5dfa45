/* Counting outcomes, and the three states of a breaker. */
#include "common/breaker.h"

#include "common/id.h"

enum {
    WINDOW = 20,
    ENOUGH_CALLS = 10,
    OPEN_MS = 5000,
    TRIALS = 3,
};

static void open_breaker(struct breaker *b, int64_t now_ms) {
    int64_t open_ms = OPEN_MS * 3 / 4 + (int64_t)random_below(OPEN_MS / 2);
    *b = (struct breaker){.state = BREAKER_OPEN, .open_until_ms = now_ms + open_ms};
}

static bool half_failed(const struct breaker *b) {
    return b->calls >= ENOUGH_CALLS && 2 * (unsigned)__builtin_popcount(b->failed) >= b->calls;
}

bool breaker_allows(struct breaker *b, int64_t now_ms) {
    if (b->state == BREAKER_OPEN && now_ms >= b->open_until_ms)
        *b = (struct breaker){.state = BREAKER_TRYING};
    return b->state != BREAKER_OPEN;
}

bool breaker_note(struct breaker *b, bool success, int64_t now_ms) {
    if (b->state != BREAKER_CLOSED) {
        if (!success)
            open_breaker(b, now_ms);
        else if (++b->calls >= TRIALS)
            *b = (struct breaker){0};
        return false;
    }
    b->failed = (b->failed << 1 | !success) & ((1U << WINDOW) - 1);
    b->calls += b->calls < WINDOW;
    if (success || !half_failed(b))
        return false;
    open_breaker(b, now_ms);
    return true;
}
