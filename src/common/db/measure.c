/* Metrics of connections and statements. */
#include "measure.h"
#include "private.h"

#include "common/base/clock.h"

static const char *const error_types[] = {
    [DB_OK] = "",
    [DB_UNAVAILABLE] = "unavailable",
    [DB_LOCK_TIMEOUT] = "lock_timeout",
    [DB_STATEMENT_TIMEOUT] = "statement_timeout",
    [DB_DEADLOCK] = "deadlock",
    [DB_CONFLICT] = "conflict",
    [DB_REFUSED] = "refused",
    [DB_NO_MEMORY] = "no_memory",
    [DB_FAILED] = "failed",
};

void db_measure_open(struct db *db) {
    db->idle = metric_series(METRIC_DB_CONNECTIONS, METRIC_LABELS(DB_SYSTEM, "idle"));
    db->used = metric_series(METRIC_DB_CONNECTIONS, METRIC_LABELS(DB_SYSTEM, "used"));
}

void db_measure_connect(struct db *db, bool success) {
    metric_add(metric_series(METRIC_DB_CONNECTS, METRIC_LABELS(DB_SYSTEM, success ? "connected" : "failed")),
               1);
    metric_add(db->idle, success);
    db->counted = success;
}

void db_measure_drop(struct db *db) {
    metric_add(db->idle, -(int64_t)db->counted);
    db->counted = false;
}

/* Failures are rare or slow, so they may take a lock. */
void db_measure_statement(struct db *db, const char *name, int64_t began_ns, enum db_status status) {
    const char *const values[] = {DB_SYSTEM, name, error_types[status]};
    struct metric_series *series = status == DB_OK
                                       ? metric_recall(&db->durations, name, METRIC_DB_DURATION, values)
                                       : metric_series(METRIC_DB_DURATION, values);
    metric_observe(series, clock_mono_ns() - began_ns, NULL);
}
