/* The numbers of all series: recording and summing them. */
#include "private.h"

#include "common/base/clock.h"
#include "common/base/trace.h"

#include <stdlib.h>
#include <string.h>

/* One for the process, like its log. */
static struct metrics metrics = {.lock = PTHREAD_MUTEX_INITIALIZER, .reading = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local unsigned shard_of_thread; /* from 1; 0: not known yet */

bool metrics_start(void) {
    metrics.series = calloc(METRIC_MAX_SERIES, sizeof *metrics.series);
    metrics.shards = calloc(METRIC_SHARDS, sizeof *metrics.shards);
    metrics.count = metrics.used = 0;
    metrics.dropped = NULL;
    if (metrics.series && metrics.shards && metrics_collect(metrics_process, NULL)) {
        metrics.dropped = metric_series(METRIC_SERIES_DROPPED, NULL);
        metrics_process(NULL); /* so that there is room for its series */
        return true;
    }
    metrics_stop();
    return false;
}

void metrics_stop(void) {
    metrics_forget(metrics_process, NULL);
    free(metrics.series);
    free(metrics.shards);
    metrics.series = NULL;
    metrics.shards = NULL;
}

static size_t slots_of(enum metric metric) {
    const struct metric_info *info = &metric_table[metric];
    return info->kind == METRIC_HISTOGRAM ? info->bounds->count + 2 : 1;
}

static size_t labels_of(enum metric metric) {
    size_t count = 0;
    while (metric_table[metric].labels[count])
        count++;
    return count;
}

static bool is_series(const struct metric_series *series, enum metric metric,
                      const char values[][METRIC_VALUE_SIZE]) {
    if (series->metric != metric)
        return false;
    for (size_t i = 0; i < labels_of(metric); i++)
        if (strcmp(series->values[i], values[i]) != 0)
            return false;
    return true;
}

static struct metric_series *find_or_make(enum metric metric, const char values[][METRIC_VALUE_SIZE]) {
    for (size_t i = 0; i < metrics.count; i++)
        if (is_series(&metrics.series[i], metric, values))
            return &metrics.series[i];
    if (metrics.count == METRIC_MAX_SERIES || metrics.used + slots_of(metric) > METRIC_SLOTS)
        return NULL;
    struct metric_series *series = &metrics.series[metrics.count++];
    series->metric = metric;
    memcpy(series->values, values, sizeof series->values);
    series->slot = metrics.used;
    atomic_flag_clear(&series->example.busy);
    metrics.used += slots_of(metric);
    return series;
}

struct metric_series *metric_series(enum metric metric, const char *const values[]) {
    char copies[METRIC_MAX_LABELS][METRIC_VALUE_SIZE] = {{0}};
    for (size_t i = 0; i < labels_of(metric); i++)
        memccpy(copies[i], values[i], '\0', METRIC_VALUE_SIZE - 1);
    if (!metrics.series)
        return NULL;
    pthread_mutex_lock(&metrics.lock);
    struct metric_series *series = find_or_make(metric, copies);
    pthread_mutex_unlock(&metrics.lock);
    if (!series)
        metric_add(metrics.dropped, 1);
    return series;
}

struct metric_series *metric_recall(struct metric_memo *memo, const char *key, enum metric metric,
                                    const char *const values[]) {
    for (size_t i = 0; i < memo->count; i++)
        if (memo->list[i].key == key)
            return memo->list[i].series;
    struct metric_series *series = metric_series(metric, values);
    if (series && memo->count < METRIC_MEMO_SIZE) {
        memo->list[memo->count].key = key;
        memo->list[memo->count++].series = series;
    }
    return series;
}

static atomic_llong *number(const struct metric_series *series, size_t offset) {
    if (!shard_of_thread)
        shard_of_thread =
            atomic_fetch_add_explicit(&metrics.threads, 1, memory_order_relaxed) % METRIC_SHARDS + 1;
    return &metrics.shards[shard_of_thread - 1][series->slot + offset];
}

static void add(const struct metric_series *series, size_t offset, int64_t amount) {
    atomic_fetch_add_explicit(number(series, offset), amount, memory_order_relaxed);
}

void metric_add(struct metric_series *series, int64_t amount) {
    if (series)
        add(series, 0, amount);
}

void metric_set(struct metric_series *series, int64_t value) {
    if (!series)
        return;
    atomic_store_explicit(&metrics.shards[0][series->slot], value, memory_order_relaxed);
    atomic_store_explicit(&series->hidden, false, memory_order_relaxed);
}

void metric_unset(struct metric_series *series) {
    if (series)
        atomic_store_explicit(&series->hidden, true, memory_order_relaxed);
}

void metric_unset_all(enum metric metric) {
    struct metric_series *series;
    for (size_t i = 0; (series = metric_at(i)); i++)
        if (series->metric == metric)
            metric_unset(series);
}

static void keep_example(struct metric_series *series, int64_t value, const char *traceparent) {
    struct metric_example *example = &series->example;
    if (!traceparent || !trace_is_sampled(traceparent) ||
        atomic_flag_test_and_set_explicit(&example->busy, memory_order_acquire))
        return;
    memcpy(example->trace_id, traceparent + 3, 32);
    memcpy(example->span_id, traceparent + 36, 16);
    example->value = value;
    example->epoch_ms = clock_epoch_ms();
    atomic_flag_clear_explicit(&example->busy, memory_order_release);
}

void metric_observe(struct metric_series *series, int64_t value, const char *traceparent) {
    if (!series)
        return;
    const struct metric_bounds *bounds = metric_table[series->metric].bounds;
    size_t bucket = 0;
    while (bucket < bounds->count && value > bounds->list[bucket])
        bucket++;
    add(series, bucket, 1);
    add(series, bounds->count + 1, value);
    keep_example(series, value, traceparent);
}

int64_t metric_sum(const struct metric_series *series, size_t offset) {
    int64_t sum = 0;
    for (size_t i = 0; i < METRIC_SHARDS; i++)
        sum += atomic_load_explicit(&metrics.shards[i][series->slot + offset], memory_order_relaxed);
    return sum;
}

struct metric_series *metric_at(size_t i) {
    pthread_mutex_lock(&metrics.lock);
    struct metric_series *series = i < metrics.count ? &metrics.series[i] : NULL;
    pthread_mutex_unlock(&metrics.lock);
    return series;
}

/* Replaces a collector (NULL: a free place) by another. */
static bool swap_collector(metric_collector *from, const void *from_cls, metric_collector *to, void *to_cls) {
    bool found = false;
    pthread_mutex_lock(&metrics.reading);
    for (size_t i = 0; i < METRIC_MAX_COLLECTORS && !found; i++) {
        found = metrics.collectors[i].collect == from && metrics.collectors[i].cls == from_cls;
        if (found) {
            metrics.collectors[i].collect = to;
            metrics.collectors[i].cls = to_cls;
        }
    }
    pthread_mutex_unlock(&metrics.reading);
    return found;
}

bool metrics_collect(metric_collector *collect, void *cls) {
    return swap_collector(NULL, NULL, collect, cls);
}

void metrics_forget(metric_collector *collect, void *cls) {
    (void)swap_collector(collect, cls, NULL, NULL);
}

void metrics_read_begin(void) {
    pthread_mutex_lock(&metrics.reading);
    for (size_t i = 0; i < METRIC_MAX_COLLECTORS; i++)
        if (metrics.collectors[i].collect)
            metrics.collectors[i].collect(metrics.collectors[i].cls);
}

void metrics_read_end(void) {
    pthread_mutex_unlock(&metrics.reading);
}
