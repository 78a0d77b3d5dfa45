/* Checking the parts, and reporting the results. */
#include "common/service/health.h"

#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/base/json_write.h"
#include "common/base/outage.h"
#include "common/metrics/metrics.h"
#include "common/service/service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PERIOD_MS = 1000,
    MAX_PARTS = 3,
};

/* Each part has a thread of its own, so that a part that hangs does not hide the others. */
struct part {
    struct health *health;
    struct outage outage; /* its name is the part's */
    struct metric_series *up;
    const char *(*ask)(struct health *health); /* NULL: well; else the error message */
    atomic_bool well;
    bool asked;
    pthread_t thread;
};

struct health {
    const char *service, *ledger;
    const struct migration *migrations;
    const struct db_query *probe;
    const atomic_ullong *unserved;
    unsigned long long seen; /* of unserved */
    struct db_options fresh_options;
    struct db *db, *fresh; /* shared; of its own, NULL while all is well */
    unsigned generation;   /* of the connection whose database migrated is about */
    struct cache *cache;
    struct queue *queue;
    int64_t started_ms;
    atomic_bool migrated, draining;
    struct part parts[MAX_PARTS]; /* the database is the first */
    size_t part_count, threads;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t asked; /* parts that were checked at least once */
    bool stopping;
};

/* An old connection may live on where a new one is refused, e.g. after its password has changed. So when the workers
 * failed, or the database was unavailable, the check makes a new one, as they do, until it is well. */
static struct db *health_connection(struct health *health) {
    const struct part *database = &health->parts[0];
    unsigned long long unserved = atomic_load(health->unserved);
    bool failed = unserved != health->seen || (database->asked && !database->well);
    health->seen = unserved;
    db_close(health->fresh);
    health->fresh = failed ? db_open(&health->fresh_options) : NULL;
    return health->fresh ? health->fresh : health->db;
}

static const char *ask_connection(struct health *health, struct db *db) {
    static const struct db_query writable = {"health",
                                             "SELECT current_setting('transaction_read_only') = 'off'"};
    struct db_result *result = NULL;
    if (db_run(db, &writable, NULL, &result) != DB_OK)
        return db_error(db);
    bool takes_writes = db_bool(result, 0, 0);
    db_result_free(result);
    if (!takes_writes)
        return "it is read-only";
    /* A new connection may lead to another database, such as a restored one. */
    if (!health->migrated || health->fresh || health->generation != db_generation(db))
        health->migrated = migrate_is_current(db, health->ledger, health->migrations);
    else if (db_run(db, health->probe, NULL, NULL) != DB_OK)
        return db_error(db);
    health->generation = health->fresh ? 0 : db_generation(db); /* 0: that of no connection */
    return NULL;
}

static const char *ask_database(struct health *health) {
    const char *fault = ask_connection(health, health_connection(health));
    if (!fault) {
        db_close(health->fresh);
        health->fresh = NULL;
    }
    return fault;
}

static const char *ask_cache(struct health *health) {
    char key[64];
    snprintf(key, sizeof key, "%s:health", health->ledger);
    return cache_check(health->cache, key) ? NULL : cache_error(health->cache);
}

static const char *ask_queue(struct health *health) {
    return queue_check(health->queue) == QUEUE_OK ? NULL : queue_error(health->queue);
}

/* The caller holds the mutex. */
static void health_note(struct part *part, const char *fault) {
    metric_set(part->up, !fault);
    if (fault)
        outage_begin(&part->outage, "%s", fault);
    else
        outage_end(&part->outage);
    part->well = !fault;
    if (part->asked)
        return;
    part->asked = true;
    part->health->asked++;
    pthread_cond_broadcast(&part->health->changed);
}

static void *watch(void *arg) {
    pthread_setname_np(pthread_self(), "health");
    struct part *part = arg;
    struct health *health = part->health;
    pthread_mutex_lock(&health->mutex);
    while (!health->stopping) {
        pthread_mutex_unlock(&health->mutex);
        const char *fault = part->ask(health);
        pthread_mutex_lock(&health->mutex);
        if (health->stopping) /* the stop may have interrupted the check */
            break;
        health_note(part, fault);
        struct timespec next;
        clock_mono_after(PERIOD_MS, &next);
        while (!health->stopping && pthread_cond_timedwait(&health->changed, &health->mutex, &next) == 0)
            ;
    }
    pthread_mutex_unlock(&health->mutex);
    return NULL;
}

static void add_part(struct health *health, const char *name, const char *(*ask_part)(struct health *)) {
    struct part *part = &health->parts[health->part_count++];
    part->health = health;
    part->outage.name = name;
    part->up = metric_series(METRIC_PART_UP, METRIC_LABELS(name));
    part->ask = ask_part;
}

static bool open_parts(struct health *health, const struct health_options *options) {
    struct db_options shared = options->db;
    shared.pool = options->pool;
    health->db = db_open(&shared);
    health->fresh_options = options->db;
    add_part(health, "database", ask_database);
    if (options->cache) {
        health->cache = cache_open(options->cache);
        add_part(health, "redis", ask_cache);
    }
    health->queue = queue_open(&options->queue);
    add_part(health, "sqs", ask_queue);
    return health->db && (health->cache || !options->cache) && health->queue;
}

static bool start_threads(struct health *health) {
    for (; health->threads < health->part_count; health->threads++) {
        struct part *part = &health->parts[health->threads];
        if (pthread_create(&part->thread, NULL, watch, part) != 0)
            return false;
    }
    struct timespec limit;
    clock_mono_after(PERIOD_MS, &limit);
    pthread_mutex_lock(&health->mutex);
    while (health->asked < health->part_count &&
           pthread_cond_timedwait(&health->changed, &health->mutex, &limit) == 0)
        ;
    pthread_mutex_unlock(&health->mutex);
    return true;
}

struct health *health_start(const struct health_options *options) {
    struct health *health = calloc(1, sizeof *health);
    if (!health)
        return NULL;
    health->service = options->service;
    health->ledger = options->ledger;
    health->migrations = options->migrations;
    health->probe = options->probe;
    health->unserved = options->unserved;
    health->started_ms = clock_mono_ms();
    pthread_mutex_init(&health->mutex, NULL);
    clock_cond_init(&health->changed);
    if (!open_parts(health, options) || !start_threads(health)) {
        health_stop(health);
        return NULL;
    }
    return health;
}

void health_stop(struct health *health) {
    if (!health)
        return;
    pthread_mutex_lock(&health->mutex);
    health->stopping = true;
    pthread_cond_broadcast(&health->changed);
    pthread_mutex_unlock(&health->mutex);
    if (health->queue)
        queue_interrupt(health->queue);
    for (size_t i = 0; i < health->threads; i++)
        pthread_join(health->parts[i].thread, NULL);
    queue_close(health->queue);
    cache_close(health->cache);
    db_close(health->fresh);
    db_close(health->db);
    pthread_cond_destroy(&health->changed);
    pthread_mutex_destroy(&health->mutex);
    free(health);
}

void health_drain(struct health *health) {
    health->draining = true;
}

static const struct service *service_of(const struct http_request *request) {
    return request->app;
}

void health_prepare(struct http_request *request) {
    const struct health *health = service_of(request)->health;
    const char *status = "healthy";
    struct buf parts = {0}, body = {0};
    for (size_t i = 0; i < health->part_count; i++) {
        bool well = health->parts[i].well;
        if (!well && i == 0)
            status = "unhealthy";
        else if (!well && strcmp(status, "healthy") == 0)
            status = "degraded";
        buf_printf(&parts, "%s\"%s\":%s", i ? "," : "", health->parts[i].outage.name,
                   well ? "true" : "false");
    }
    buf_printf(&body, "{\"status\":\"%s\",\"timestamp\":", status);
    json_append_time(&body, clock_epoch_ms());
    buf_printf(&body, ",\"service\":\"%s\",\"version\":\"%s\",\"uptime\":%.3f,\"dependencies\":{",
               health->service, SERVICE_VERSION, (double)(clock_mono_ms() - health->started_ms) / 1000.0);
    buf_append(&body, parts.data, parts.len);
    buf_str(&body, "}}");
    body.failed |= parts.failed;
    buf_free(&parts);
    http_reply_json(request, strcmp(status, "unhealthy") == 0 ? 503 : 200, &body);
}

void health_live_prepare(struct http_request *request) {
    struct buf body = {0};
    buf_str(&body, "{\"status\":\"alive\"}");
    http_reply_json(request, 200, &body);
}

static const char *why_not_ready(const struct service *service) {
    const struct health *health = service->health;
    if (health->draining)
        return "draining";
    if (!health->parts[0].well)
        return "database";
    if (!health->migrated)
        return "migrations";
    /* Without the revoked tokens of the database, no request with a token could be answered. */
    return revocations_loaded(service->auth.revocations) ? NULL : "database";
}

void health_ready_prepare(struct http_request *request) {
    const char *reason = why_not_ready(service_of(request));
    struct buf body = {0};
    if (reason)
        buf_printf(&body, "{\"status\":\"not ready\",\"reason\":\"%s\"}", reason);
    else
        buf_str(&body, "{\"status\":\"ready\"}");
    http_reply_json(request, reason ? 503 : 200, &body);
}
