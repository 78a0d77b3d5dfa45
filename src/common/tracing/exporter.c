/* The thread that sends spans: it gathers them for a moment, sends them as one request, and waits longer after failures. */
#include "private.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"
#include "common/metrics/metrics.h"

#include <stdlib.h>

enum {
    RING_BYTES = 2 << 20,
    BATCH_BYTES = 256 << 10, /* most of one request */
    BATCH_SPANS = 512,       /* so many do not wait for the end of the pause */
    PAUSE_MS = 1000,
    RETRY_MS = 1000,
    RETRY_CAP_MS = 30000,
};

struct exporter {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct span_ring ring;
    bool stopping;

    pthread_t thread;
    struct transport *transport;
    int64_t pause_ms, retry_ms;
    struct metric_series *exported, *dropped, *refused;
    unsigned long long lost; /* spans that the collector did not get; guarded by lock */

    /* Of the thread: */
    struct tracing_head head;
    uint8_t batch[BATCH_BYTES]; /* on its way */
    size_t batch_len, batch_count;
    unsigned failures; /* in a row */
    struct outage outage;
};

static void count_lost(struct exporter *e, struct metric_series *series, size_t count) {
    metric_add(series, (int64_t)count);
    pthread_mutex_lock(&e->lock);
    e->lost += count;
    pthread_mutex_unlock(&e->lock);
}

static bool is_full_batch(const struct exporter *e) {
    return e->ring.count >= BATCH_SPANS || e->ring.used >= BATCH_BYTES;
}

void exporter_put(struct exporter *e, const void *span, size_t len) {
    pthread_mutex_lock(&e->lock);
    bool was_full = is_full_batch(e);
    bool fits = ring_put(&e->ring, span, len);
    if (fits && (e->ring.count == 1 || (is_full_batch(e) && !was_full)))
        pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->lock);
    if (!fits)
        exporter_drop(e);
}

void exporter_drop(struct exporter *e) {
    count_lost(e, e->dropped, 1);
}

/* Waits until there is a batch to send. False at the end: when the exporter stops and nothing is left. */
static bool await_batch(struct exporter *e) {
    struct timespec due;
    pthread_mutex_lock(&e->lock);
    while (!e->stopping && e->ring.count == 0)
        pthread_cond_wait(&e->changed, &e->lock);
    clock_mono_after(e->pause_ms, &due);
    int late = 0;
    while (!e->stopping && !is_full_batch(e) && late == 0)
        late = pthread_cond_timedwait(&e->changed, &e->lock, &due);
    e->batch_len = ring_take(&e->ring, e->batch, sizeof e->batch, &e->batch_count);
    pthread_mutex_unlock(&e->lock);
    return e->batch_count > 0;
}

/* Waits after a failure. A stop ends the wait. Returns whether the exporter goes on. */
static bool exporter_rest(struct exporter *e, int64_t ms) {
    struct timespec due;
    clock_mono_after(ms, &due);
    pthread_mutex_lock(&e->lock);
    int late = 0;
    while (!e->stopping && late == 0)
        late = pthread_cond_timedwait(&e->changed, &e->lock, &due);
    bool go_on = !e->stopping;
    pthread_mutex_unlock(&e->lock);
    return go_on;
}

static void note_sent(struct exporter *e, const struct transport_answer *answer) {
    size_t rejected = 0;
    if (answer->rejected > 0)
        rejected = answer->rejected < (int64_t)e->batch_count ? (size_t)answer->rejected : e->batch_count;
    metric_add(e->exported, (int64_t)(e->batch_count - rejected));
    if (rejected)
        count_lost(e, e->refused, rejected);
    e->failures = 0;
    outage_end(&e->outage);
}

/* Sends the batch, until it is sent or refused. False when the exporter stops before. */
static bool send_batch(struct exporter *e) {
    struct buf body = {0};
    request_write(&body, &e->head, e->batch, e->batch_len);
    bool stopping = false, done = false;
    while (!done) {
        struct transport_answer answer;
        enum transport_outcome outcome = transport_post(e->transport, &body, &answer);
        if (outcome == TRANSPORT_SENT) {
            note_sent(e, &answer);
            break;
        }
        done = outcome == TRANSPORT_REFUSED;
        if (done)
            count_lost(e, e->refused, e->batch_count);
        if (stopping)
            break;
        outage_begin(&e->outage, "%s", answer.words);
        int64_t wait_ms = backoff_ms(e->failures++, e->retry_ms, RETRY_CAP_MS);
        stopping = !exporter_rest(e, wait_ms > answer.retry_after_ms ? wait_ms : answer.retry_after_ms);
    }
    bool sent = done || e->failures == 0;
    if (!sent)
        count_lost(e, e->dropped, e->batch_count);
    buf_free(&body);
    return sent;
}

static void *run_exporter(void *cls) {
    pthread_setname_np(pthread_self(), "tracing");
    struct exporter *e = cls;
    while (await_batch(e) && send_batch(e))
        ;
    pthread_mutex_lock(&e->lock);
    size_t left = e->ring.count;
    pthread_mutex_unlock(&e->lock);
    if (left)
        count_lost(e, e->dropped, left);
    return NULL;
}

static void exporter_free(struct exporter *e) {
    transport_close(e->transport);
    ring_free(&e->ring);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

struct exporter *exporter_start(const struct tracing_options *options) {
    struct exporter *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    pthread_mutex_init(&e->lock, NULL);
    clock_cond_init(&e->changed);
    e->pause_ms = options->pause_ms ? options->pause_ms : PAUSE_MS;
    e->retry_ms = options->retry_ms ? options->retry_ms : RETRY_MS;
    e->outage.name = "trace collector";
    e->exported = metric_series(METRIC_SPANS, METRIC_LABELS("exported"));
    e->dropped = metric_series(METRIC_SPANS, METRIC_LABELS("dropped"));
    e->refused = metric_series(METRIC_SPANS, METRIC_LABELS("refused"));
    e->transport = transport_open(options);
    if (e->transport && ring_init(&e->ring, RING_BYTES) && head_init(&e->head, options) &&
        pthread_create(&e->thread, NULL, run_exporter, e) == 0)
        return e;
    exporter_free(e);
    return NULL;
}

void exporter_stop(struct exporter *e, int64_t wait_ms) {
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    transport_limit(e->transport, clock_mono_ms() + wait_ms);
    pthread_join(e->thread, NULL);
    if (e->lost)
        log_warn(NULL, "%llu span(s) did not reach the trace collector", e->lost);
    exporter_free(e);
}
