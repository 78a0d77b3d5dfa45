/* Metrics: the counters, gauges and histograms of the process, which Prometheus reads.
 *
 * src/common/metrics/table.c describes all of them. A series is a metric with values for its labels. Recording takes no
 * lock and no memory: each thread adds to numbers of its own, which are summed when somebody reads. All memory is taken
 * at the start. Before it, and when there is no room for a further series, recording does nothing. Any thread. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRIC_MAX_LABELS 3

/* Durations and times are recorded in nanoseconds, and shown in seconds. */
enum metric {
    METRIC_HTTP_DURATION,
    METRIC_HTTP_ACTIVE,
    METRIC_HTTP_REQUEST_SIZE,
    METRIC_HTTP_RESPONSE_SIZE,
    METRIC_HTTP_CONNECTIONS,
    METRIC_HTTP_MAX_CONNECTIONS,
    METRIC_HTTP_WAITING,
    METRIC_HTTP_MAX_WAITING,
    METRIC_HTTP_REFUSED,
    METRIC_LANE_DEPTH,
    METRIC_LANE_CAPACITY,
    METRIC_LANE_WAIT,
    METRIC_BATCH_SIZE,
    METRIC_WORKERS,
    METRIC_WORKERS_BUSY,
    METRIC_DB_DURATION,
    METRIC_DB_CONNECTIONS,
    METRIC_DB_CONNECTS,
    METRIC_DB_WAIT,
    METRIC_DB_WAIT_TIMEOUTS,
    METRIC_DATABASE_SIZE,
    METRIC_BREAKER_OPEN,
    METRIC_PART_UP,
    METRIC_CACHE_LOOKUPS,
    METRIC_CACHE_ENTRIES,
    METRIC_CACHE_SIZE,
    METRIC_OUTBOX_ROWS,
    METRIC_OUTBOX_AGE,
    METRIC_OUTBOX_EVENTS,
    METRIC_QUEUE_DURATION,
    METRIC_QUEUE_SENT,
    METRIC_QUEUE_CONSUMED,
    METRIC_QUEUE_MESSAGES,
    METRIC_MESSAGES,
    METRIC_PROCESS_DURATION,
    METRIC_ORDERS_CREATED,
    METRIC_ORDERS_MOVED,
    METRIC_CANCELLATIONS,
    METRIC_ORDERS_BY_STATUS,
    METRIC_OLDEST_PENDING,
    METRIC_STANDBY_READS,
    METRIC_FEED_READERS,
    METRIC_FEED_EVENTS,
    METRIC_FEED_HELD_BACK,
    METRIC_SHIPMENT_DELAY,
    METRIC_STATUS_DELAY,
    METRIC_REVOCATION_DELAY,
    METRIC_REPEATED,
    METRIC_WEBHOOK_ATTEMPTS,
    METRIC_WEBHOOK_WAITING,
    METRIC_WEBHOOK_LATE,
    METRIC_OBSERVED,
    METRIC_TOKEN_KEY_TIME,
    METRIC_CERTIFICATE_EXPIRY,
    METRIC_LOG_DROPPED,
    METRIC_SPANS,
    METRIC_SERIES_DROPPED,
    METRIC_BUILD,
    METRIC_CPU,
    METRIC_RSS,
    METRIC_VIRTUAL_MEMORY,
    METRIC_FILES,
    METRIC_MAX_FILES,
    METRIC_THREADS,
    METRIC_START_TIME,
    METRIC_COUNT,
};

struct metric_series;

/* Takes the memory. Call it once in main, before other threads start. metrics_stop ends it, when they are gone. */
bool metrics_start(void) MUST_CHECK;
void metrics_stop(void);

/* The series with these values, in the order of the table; it is made when it is first asked for. Values are copied, and
 * cut after 63 bytes. Takes a lock, so callers keep the result. NULL (which records nothing) when there is no room. */
struct metric_series *metric_series(enum metric metric, const char *const values[]);
#define METRIC_LABELS(...)                                                                                   \
    (const char *const[]) {                                                                                  \
        __VA_ARGS__                                                                                          \
    }

/* Series that one thread uses again and again, found by the address of a static text: without the lock. */
#define METRIC_MEMO_SIZE 40
struct metric_memo {
    struct {
        const char *key;
        struct metric_series *series;
    } list[METRIC_MEMO_SIZE];
    size_t count;
};

/* The series for the key, with these values when it is not known yet. Further keys than METRIC_MEMO_SIZE take the lock. */
struct metric_series *metric_recall(struct metric_memo *memo, const char *key, enum metric metric,
                                    const char *const values[]);

/* Adds to a counter, or moves a gauge. */
void metric_add(struct metric_series *series, int64_t amount);
/* Sets a gauge or a counter that has its number from elsewhere. Not together with metric_add. */
void metric_set(struct metric_series *series, int64_t value);
/* Takes a gauge out of what is shown, until it is set again: its value is not known. */
void metric_unset(struct metric_series *series);
/* The same for all series of a metric. */
void metric_unset_all(enum metric metric);
/* Adds a value to a histogram. traceparent (NULL: none) may become its example: only of a trace that is recorded. */
void metric_observe(struct metric_series *series, int64_t value, const char *traceparent);

/* Called before the metrics are read, to set what costs too much to follow. Collectors are for the whole process, and
 * are called by one thread at a time. Remove them before cls goes. False when there is no room. */
typedef void metric_collector(void *cls);
bool metrics_collect(metric_collector *collect, void *cls) MUST_CHECK;
void metrics_forget(metric_collector *collect, void *cls);

enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS }; /* text 0.0.4, text 1.0.0 */

/* The format that an Accept header prefers; NULL means Prometheus's. */
enum metrics_format metrics_negotiate(const char *accept);
const char *metrics_content_type(enum metrics_format format);

/* Writes all metrics. */
void metrics_write(struct buf *out, enum metrics_format format);

/* Writes the table of docs/OBSERVABILITY.md. */
void metrics_describe(struct buf *out);
