/* Counting what waits in outboxes and queues. */
#include "observe.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/metrics/metrics.h"
#include "common/service/service.h"
#include "observe_store.h"

#include <stdlib.h>

enum {
    MS_NS = 1000000,
    PERIOD_MS = 5000,
    JITTER_MS = 500,
    RESTS = 10, /* times as long as counting took: that must not make a large backlog worse */
    REST_CAP_MS = 60000,
};

struct observer {
    struct service *service;
    struct db_job *job;
    struct {
        const char *name;
        struct queue *queue;
    } queues[OBSERVED_QUEUES];
    size_t queue_count;
    int64_t next_ms; /* when the outboxes are counted again */
};

static struct metric_series *of_queue(const char *queue, const char *state) {
    return metric_series(METRIC_QUEUE_MESSAGES, METRIC_LABELS(queue, state));
}

static void show_queue(const char *name, const struct observed_queue *seen) {
    const struct {
        const char *state;
        int64_t messages;
    } list[] = {{"visible", seen->messages.visible},
                {"hidden", seen->messages.hidden},
                {"delayed", seen->messages.delayed},
                {"dead_letter", seen->dead_letters}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (seen->known)
            metric_set(of_queue(name, list[i].state), list[i].messages);
        else
            metric_unset(of_queue(name, list[i].state));
}

/* One replica asks the queue, so that the number of calls does not grow with them. A queue that does not answer is not
 * known after a minute. */
static enum db_status observe_queue(struct observer *o, struct db *db, size_t i) {
    const char *ledger = o->service->daemon->ledger, *name = o->queues[i].name;
    struct queue *queue = o->queues[i].queue;
    struct observed_queue seen = {0};
    struct queue_counts dead;
    bool ours;
    enum db_status status = observe_store_claim(db, ledger, name, &ours);
    if (status == DB_OK && ours && queue_count(queue, false, &seen.messages) == QUEUE_OK &&
        queue_count(queue, true, &dead) == QUEUE_OK) {
        seen.dead_letters = dead.visible + dead.hidden + dead.delayed;
        status = observe_store_put(db, ledger, name, &seen);
    }
    if (status == DB_OK)
        status = observe_store_get(db, ledger, name, &seen);
    show_queue(name, &seen);
    return status;
}

static enum db_status observe_outbox(struct db *db, const char *table) {
    struct metric_series *rows = metric_series(METRIC_OUTBOX_ROWS, METRIC_LABELS(table));
    struct metric_series *age = metric_series(METRIC_OUTBOX_AGE, METRIC_LABELS(table));
    int64_t count, age_ms;
    enum db_status status = observe_store_outbox(db, table, &count, &age_ms);
    if (status == DB_OK) {
        metric_set(rows, count);
        metric_set(age, age_ms * MS_NS);
    }
    return status;
}

static enum db_status observe_size(struct db *db) {
    int64_t bytes;
    enum db_status status = observe_store_size(db, &bytes);
    if (status == DB_OK)
        metric_set(metric_series(METRIC_DATABASE_SIZE, NULL), bytes);
    return status;
}

static enum db_status observe_database(const struct observer *o, struct db *db) {
    enum db_status status = observe_size(db);
    for (const struct service_part *part = o->service->daemon->parts; status == DB_OK && part->name; part++)
        if (part->outbox)
            status = observe_outbox(db, part->outbox);
    if (status == DB_OK && o->service->daemon->observe)
        status = o->service->daemon->observe(db);
    if (status == DB_OK)
        metric_set(metric_series(METRIC_OBSERVED, NULL), clock_epoch_ms() * MS_NS);
    return status;
}

/* While the database is away, nobody knows. The time of METRIC_OBSERVED stays, and tells since when. */
static void hide_all(void) {
    static const enum metric gauges[] = {
        METRIC_DATABASE_SIZE,   METRIC_OUTBOX_ROWS,      METRIC_OUTBOX_AGE,
        METRIC_QUEUE_MESSAGES,  METRIC_ORDERS_BY_STATUS, METRIC_OLDEST_PENDING,
        METRIC_WEBHOOK_WAITING, METRIC_WEBHOOK_LATE,     METRIC_FEED_HELD_BACK};
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        metric_unset_all(gauges[i]);
}

static int64_t rest_after(int64_t took_ms) {
    int64_t rest_ms = RESTS * took_ms;
    return rest_ms < OBSERVE_MS ? OBSERVE_MS : rest_ms < REST_CAP_MS ? rest_ms : REST_CAP_MS;
}

static int64_t observe(void *self, struct db *db, enum db_status *status) {
    struct observer *o = self;
    int64_t began_ms = clock_mono_ms();
    if (began_ms >= o->next_ms) {
        *status = observe_database(o, db);
        int64_t ended_ms = clock_mono_ms();
        o->next_ms = ended_ms + rest_after(ended_ms - began_ms);
    }
    for (size_t i = 0; *status == DB_OK && i < o->queue_count; i++)
        *status = observe_queue(o, db, i);
    if (*status != DB_OK) {
        hide_all();
        o->next_ms = 0; /* soon again */
    }
    return PERIOD_MS + (int64_t)random_below(JITTER_MS);
}

static bool open_queues(struct observer *o) {
    service_queue *const *list = o->service->daemon->consumes;
    for (; list[o->queue_count]; o->queue_count++) {
        struct queue_options options;
        list[o->queue_count](o->service->config, &options);
        options.breaker = &o->service->sqs_breaker;
        o->queues[o->queue_count].name = options.name;
        o->queues[o->queue_count].queue = queue_open(&options);
        if (!o->queues[o->queue_count].queue)
            return false;
    }
    return true;
}

void *observer_start(void *app) {
    struct observer *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->service = app;
    if (!o->service->metrics) /* nobody could read what it counts */
        return o;
    if (open_queues(o))
        o->job = db_job_start(&(struct db_job_options){
            .name = "observer", .db = service_db_of(o->service, DB_LATE), .run = observe, .self = o});
    if (o->job)
        return o;
    observer_stop(o, 0);
    return NULL;
}

void observer_stop(void *observer, int64_t deadline_ms) {
    struct observer *o = observer;
    (void)deadline_ms;
    for (size_t i = 0; i < o->queue_count; i++)
        queue_interrupt(o->queues[i].queue);
    db_job_stop(o->job);
    for (size_t i = 0; i < o->queue_count; i++)
        queue_close(o->queues[i].queue);
    free(o);
}
