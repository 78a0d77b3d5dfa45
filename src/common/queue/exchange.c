/* The SQS client's calls over HTTP: one, or several at once, which another thread may interrupt. */
#include "common/queue/queue.h"

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "private.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 5000 }; /* libcurl's own deadlines end it earlier */

bool queue_global_setup(void) {
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void queue_global_cleanup(void) {
    curl_global_cleanup();
}

static bool open_lines(struct queue *q) {
    for (unsigned i = 0; q->lines && i < queue_line_count(q); i++)
        if (!line_open(&q->lines[i], &q->options))
            return false;
    return q->lines;
}

struct queue *queue_open(const struct queue_options *options) {
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->options = *options;
    q->sent = metric_series(METRIC_QUEUE_SENT, METRIC_LABELS(options->name));
    q->consumed = metric_series(METRIC_QUEUE_CONSUMED, METRIC_LABELS(options->name));
    q->urls = calloc(queue_shard_count(q), sizeof *q->urls);
    q->lines = calloc(queue_line_count(q), sizeof *q->lines);
    q->multi = curl_multi_init();
    if (q->urls && q->multi && open_lines(q))
        return q;
    queue_close(q);
    return NULL;
}

void queue_close(struct queue *q) {
    if (!q)
        return;
    for (unsigned i = 0; q->lines && i < queue_line_count(q); i++)
        line_close(&q->lines[i]);
    curl_multi_cleanup(q->multi);
    free(q->lines);
    free(q->urls);
    free(q);
}

void queue_interrupt(struct queue *q) {
    atomic_store(&q->interrupted, true);
    curl_multi_wakeup(q->multi);
}

const char *queue_error(const struct queue *q) {
    return q->error;
}

enum queue_status queue_fail(struct queue *q, enum queue_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(q->error, sizeof q->error, format, args);
    va_end(args);
    return status;
}

unsigned queue_line_count(const struct queue *q) {
    return q->options.calls ? q->options.calls : 1;
}

/* Notes the lines whose exchange has ended. */
static void collect_ended(struct queue *q) {
    int left;
    for (const CURLMsg *done; (done = curl_multi_info_read(q->multi, &left)) != NULL;) {
        struct line *line;
        if (curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, &line) == CURLE_OK)
            line_done(line, (int)done->data.result);
    }
}

/* Drives the lines until all have ended. A multi handle lets queue_interrupt end the wait. */
static CURLMcode drive_lines(struct queue *q) {
    CURLMcode fault = CURLM_OK;
    int running = 1;
    while (fault == CURLM_OK && !atomic_load(&q->interrupted)) {
        fault = curl_multi_perform(q->multi, &running);
        collect_ended(q);
        if (fault != CURLM_OK || !running)
            break;
        fault = curl_multi_poll(q->multi, NULL, 0, POLL_MS, NULL);
    }
    return fault;
}

/* One HTTP exchange on each line, all at once. */
static void exchange_lines(struct queue *q, struct line *const lines[], size_t n) {
    bool added[QUEUE_CALLS] = {false};
    for (size_t i = 0; i < n; i++) {
        if (!line_prepare(lines[i]))
            continue;
        line_done(lines[i], CURLE_ABORTED_BY_CALLBACK); /* unless it ends otherwise */
        added[i] = curl_multi_add_handle(q->multi, lines[i]->easy) == CURLM_OK;
        if (!added[i])
            line_done(lines[i], CURLE_OUT_OF_MEMORY);
    }
    CURLMcode fault = drive_lines(q);
    for (size_t i = 0; i < n; i++) {
        if (added[i])
            curl_multi_remove_handle(q->multi, lines[i]->easy);
        if (added[i] && fault != CURLM_OK && lines[i]->result == CURLE_ABORTED_BY_CALLBACK)
            line_done(lines[i], CURLE_OUT_OF_MEMORY);
    }
}

/* Failures are rare or slow, so they may take a lock. */
static void measure(struct queue *q, const struct line *line) {
    static const char *const error_types[] = {
        [QUEUE_OK] = "", [QUEUE_UNAVAILABLE] = "unavailable", [QUEUE_REFUSED] = "refused"};
    const char *const values[] = {line->action, q->options.name, error_types[line->status]};
    struct metric_series *series =
        line->status == QUEUE_OK ? metric_recall(&q->durations, line->action, METRIC_QUEUE_DURATION, values)
                                 : metric_series(METRIC_QUEUE_DURATION, values);
    metric_observe(series, line->took_ns, NULL);
}

/* A refusal is not an outage. The server works, but asks this caller for less, or does not trust it with this queue.
 * The process's other queues go on. */
static void note_call(struct queue *q, const struct line *line) {
    struct breaker *breaker = q->options.breaker;
    if (line->status == QUEUE_INTERRUPTED)
        return;
    measure(q, line);
    if (line->status == QUEUE_OK)
        retry_budget_give(&q->budget);
    if (breaker)
        (void)breaker_note(breaker, line->status != QUEUE_UNAVAILABLE || line->well, clock_mono_ms());
}

/* How many of n calls the breaker lets through. */
static size_t allowed(const struct queue *q, size_t n) {
    size_t count = 0;
    while (count < n && (!q->options.breaker || breaker_allows(q->options.breaker, clock_mono_ms())))
        count++;
    return count;
}

size_t queue_exchange_lines(struct queue *q, struct line *const lines[], size_t n) {
    struct line *again[QUEUE_CALLS];
    size_t count = allowed(q, n), misdated = 0;
    if (count == 0) {
        lines[0]->answer = NULL;
        lines[0]->refusal[0] = '\0';
        lines[0]->took_ns = 0;
        line_fail(lines[0], QUEUE_UNAVAILABLE, "%s: circuit breaker is open", lines[0]->action);
        return 1;
    }
    int64_t began_ns = clock_mono_ns();
    exchange_lines(q, lines, count);
    for (size_t i = 0; i < count; i++)
        if (line_is_misdated(lines[i]))
            again[misdated++] = lines[i];
    if (misdated > 0)
        exchange_lines(q, again, misdated);
    for (size_t i = 0; i < count; i++) {
        lines[i]->took_ns = lines[i]->ended_ns - began_ns;
        line_judge(lines[i]);
        note_call(q, lines[i]);
    }
    return count;
}

enum queue_status queue_exchange(struct queue *q, const char *action, const struct buf *body, int wait_s,
                                 json_t **answer) {
    struct line *line = q->lines;
    line->action = action;
    line->body = body;
    line->wait_s = wait_s;
    (void)queue_exchange_lines(q, &line, 1);
    *answer = line->answer;
    return queue_fail(q, line->status, "%s", line->error);
}
