/* A thread that does one small job again and again. */
#include "common/base/ticker.h"

#include "common/base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct ticker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken, stopping;
    ticker_fn *job;
    void *self;
};

/* Waits for ms milliseconds, or until the ticker is woken or stops. True when it stops. */
static bool wait_stop(struct ticker *ticker, int64_t ms) {
    struct timespec until;
    clock_mono_after(ms, &until);
    pthread_mutex_lock(&ticker->lock);
    int waited = 0;
    while (!ticker->stopping && !ticker->woken && waited == 0)
        waited = pthread_cond_timedwait(&ticker->changed, &ticker->lock, &until);
    ticker->woken = false;
    bool stopping = ticker->stopping;
    pthread_mutex_unlock(&ticker->lock);
    return stopping;
}

static void *ticker_run(void *arg) {
    pthread_setname_np(pthread_self(), "ticker");
    struct ticker *ticker = arg;
    while (!wait_stop(ticker, ticker->job(ticker->self)))
        ;
    return NULL;
}

struct ticker *ticker_start(ticker_fn *job, void *self) {
    struct ticker *ticker = calloc(1, sizeof *ticker);
    if (!ticker)
        return NULL;
    ticker->job = job;
    ticker->self = self;
    clock_cond_init(&ticker->changed);
    pthread_mutex_init(&ticker->lock, NULL);
    if (pthread_create(&ticker->thread, NULL, ticker_run, ticker) == 0)
        return ticker;
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
    return NULL;
}

void ticker_wake(struct ticker *ticker) {
    pthread_mutex_lock(&ticker->lock);
    ticker->woken = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
}

void ticker_end(struct ticker *ticker) {
    pthread_mutex_lock(&ticker->lock);
    ticker->stopping = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
}

void ticker_stop(struct ticker *ticker) {
    if (!ticker)
        return;
    ticker_end(ticker);
    pthread_join(ticker->thread, NULL);
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
}
