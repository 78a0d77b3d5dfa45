/* What a consumer counts. */
#pragma once

#include "common/metrics/metrics.h"

struct consumer_series {
    struct metric_series *done, *retried, *dead, *durations;
};

static inline void consumer_series_make(struct consumer_series *out, const char *queue) {
    out->done = metric_series(METRIC_MESSAGES, METRIC_LABELS(queue, "done"));
    out->retried = metric_series(METRIC_MESSAGES, METRIC_LABELS(queue, "retried"));
    out->dead = metric_series(METRIC_MESSAGES, METRIC_LABELS(queue, "dead_lettered"));
    out->durations = metric_series(METRIC_PROCESS_DURATION, METRIC_LABELS(queue));
}
