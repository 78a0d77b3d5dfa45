/* Counting outcomes, and the three states of a breaker. */
#include "common/base/breaker.h"
#include "common/base/random.h"

enum {
    WINDOW = 20,
    ENOUGH_CALLS = 10,
    OPEN_MS = 5000,
    TRIALS = 3,
};

static void plan_trials(struct breaker *b, int64_t now_ms) {
    b->trials = 0;
    b->next_ms = now_ms + OPEN_MS * 3 / 4 + (int64_t)random_below(OPEN_MS / 2);
}

static void enter(struct breaker *b, unsigned state, int64_t now_ms) {
    b->state = state;
    b->failed = b->calls = 0;
    plan_trials(b, now_ms);
}

static bool half_failed(const struct breaker *b) {
    return b->calls >= ENOUGH_CALLS && 2 * (unsigned)__builtin_popcount(b->failed) >= b->calls;
}

bool breaker_allows(struct breaker *b, int64_t now_ms) {
    pthread_mutex_lock(&b->lock);
    if (b->state == BREAKER_OPEN && now_ms >= b->next_ms)
        enter(b, BREAKER_TRYING, now_ms);
    else if (b->state == BREAKER_TRYING && now_ms >= b->next_ms)
        plan_trials(b, now_ms); /* earlier successes count: an idle process calls rarely */
    bool allowed = b->state == BREAKER_CLOSED || (b->state == BREAKER_TRYING && b->trials++ < TRIALS);
    pthread_mutex_unlock(&b->lock);
    return allowed;
}

/* True when this outcome opens the breaker. */
static bool note_closed(struct breaker *b, bool success, int64_t now_ms) {
    b->failed = (b->failed << 1 | !success) & ((1U << WINDOW) - 1);
    b->calls += b->calls < WINDOW;
    if (success || !half_failed(b))
        return false;
    enter(b, BREAKER_OPEN, now_ms);
    return true;
}

static void note_trial(struct breaker *b, bool success, int64_t now_ms) {
    if (!success)
        enter(b, BREAKER_OPEN, now_ms);
    else if (++b->calls == TRIALS)
        enter(b, BREAKER_CLOSED, now_ms);
}

bool breaker_note(struct breaker *b, bool success, int64_t now_ms) {
    bool opened = false;
    pthread_mutex_lock(&b->lock);
    if (b->state == BREAKER_CLOSED)
        opened = note_closed(b, success, now_ms);
    else if (b->state == BREAKER_TRYING) /* while it is open, only calls from before end: ignored */
        note_trial(b, success, now_ms);
    pthread_mutex_unlock(&b->lock);
    return opened;
}

void breaker_trip(struct breaker *b, int64_t now_ms) {
    pthread_mutex_lock(&b->lock);
    enter(b, BREAKER_OPEN, now_ms);
    pthread_mutex_unlock(&b->lock);
}

bool breaker_is_open(struct breaker *b, int64_t now_ms) {
    pthread_mutex_lock(&b->lock);
    bool open = b->state != BREAKER_CLOSED && now_ms < b->next_ms;
    pthread_mutex_unlock(&b->lock);
    return open;
}
