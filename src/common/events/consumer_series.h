/* What a consumer counts. */
#pragma once

#include "common/events/consumer.h"
#include "common/metrics/metrics.h"

struct consumer_series {
    struct metric_series *done, *durations;
    struct metric_series *failed[CONSUMER_CAUSES];
};

void consumer_series_make(struct consumer_series *out, const char *queue);

/* Counts the messages of a batch, once it is known what becomes of them. */
void consumer_series_count(const struct consumer_series *series, const struct consumer_message messages[],
                           size_t n);
