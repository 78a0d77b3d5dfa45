/* Counting messages by what became of them, and why. */
#include "consumer_series.h"

static const struct {
    const char *outcome, *reason;
} failures[CONSUMER_CAUSES] = {
    [CONSUMER_MALFORMED] = {"dead_lettered", "malformed"},
    [CONSUMER_UNKNOWN_ORDER] = {"dead_lettered", "unknown_order"},
    [CONSUMER_CONTRADICTION] = {"dead_lettered", "contradiction"},
    [CONSUMER_TOO_MANY_RECEIVES] = {"dead_lettered", "too_many_receives"},
    [CONSUMER_REFUSED] = {"retried", "refused_by_database"},
    [CONSUMER_NO_MEMORY] = {"retried", "out_of_memory"},
    [CONSUMER_BLOCKED] = {"retried", "blocked"},
    [CONSUMER_DATABASE_AWAY] = {"retried", "database_away"},
    [CONSUMER_UNBURIED] = {"retried", "dead_letter_queue_away"},
    [CONSUMER_STOPPING] = {"retried", "stopping"},
};

void consumer_series_make(struct consumer_series *out, const char *queue) {
    out->done = metric_series(METRIC_MESSAGES, METRIC_LABELS(queue, "done", ""));
    out->durations = metric_series(METRIC_PROCESS_DURATION, METRIC_LABELS(queue));
    for (size_t i = 0; i < CONSUMER_CAUSES; i++)
        out->failed[i] =
            metric_series(METRIC_MESSAGES, METRIC_LABELS(queue, failures[i].outcome, failures[i].reason));
}

void consumer_series_count(const struct consumer_series *series, const struct consumer_message messages[],
                           size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool failed = messages[i].outcome != CONSUMER_DONE || messages[i].buried;
        metric_add(failed ? series->failed[messages[i].cause] : series->done, 1);
    }
}
