/* What the table of metrics, its numbers and its text share. */
#pragma once

#include "common/metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    METRIC_MAX_SERIES = 2048,
    METRIC_SLOTS = 24576, /* numbers of all series */
    METRIC_SHARDS = 16,   /* copies of the numbers; threads beyond this share them */
    METRIC_VALUE_SIZE = 64,
    METRIC_MAX_COLLECTORS = 16,
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_PLAIN, METRIC_SECONDS, METRIC_BYTES };

struct metric_bounds { /* of the buckets of a histogram, in recorded units */
    const int64_t *list;
    size_t count;
};

struct metric_info {
    const char *name;
    enum metric_kind kind;
    enum metric_unit unit;
    const char *labels[METRIC_MAX_LABELS + 1]; /* ends with NULL */
    const struct metric_bounds *bounds;
    const char *help; /* one sentence */
};

extern const struct metric_info metric_table[METRIC_COUNT];

/* A request of a bucket that one can look at. Whoever holds busy may use it, nobody waits. */
struct metric_example {
    atomic_flag busy;
    char trace_id[33], span_id[17]; /* "": none yet */
    int64_t value, epoch_ms;
};

struct metric_series {
    enum metric metric;
    char values[METRIC_MAX_LABELS][METRIC_VALUE_SIZE];
    size_t slot;        /* its first number: the value, or the buckets, the rest and the sum */
    atomic_bool hidden; /* its value is not known */
    struct metric_example example;
};

struct metrics {
    pthread_mutex_t lock; /* guards count, used and collectors */
    pthread_mutex_t reading;
    struct metric_series *series; /* NULL: not started */
    size_t count, used;
    atomic_llong (*shards)[METRIC_SLOTS];
    atomic_uint threads;
    struct metric_series *dropped; /* counts the series that had no room */
    struct {
        metric_collector *collect;
        void *cls;
    } collectors[METRIC_MAX_COLLECTORS];
};

/* The sum of a number over all threads. */
int64_t metric_sum(const struct metric_series *series, size_t offset);

/* The series in the order in which they were made; NULL at their end. */
struct metric_series *metric_at(size_t i);

/* Calls all collectors, and keeps others from reading until metrics_read_end. */
void metrics_read_begin(void);
void metrics_read_end(void);

/* The collector of process_*. */
void metrics_process(void *cls);
