/* The job that publishes the events of silent orders again, a bounded number at a time. */
#include "reconcile.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/db/job.h"
#include "common/events/outbox.h"
#include "common/queue/queue.h"
#include "reconcile_store.h"

#include <stdlib.h>

enum {
    PAUSE_MS = 1000,
    BUSY_PAUSE_MS = 100,
    SHORTLY_MS = 60000, /* what was published in this time before an outage may be lost with it */
    SPREAD_MS = 1000,   /* replicas begin within this time after an outage */
};

#define EVER INT64_C(3155760000000) /* 100 years */

/* Times are on clock_mono_ms's clock, unless they are the database's. */
struct reconciler {
    struct order_app *app;
    struct db_job *job;
    struct queue *queue;
    int64_t
        before_ms; /* what was published before, on the database's clock, has left the queue; 0: nothing has */
    int64_t reached_ms; /* when the queue last answered, or nothing could be lost with it */
    bool away;          /* the queue did not answer since */
    struct reconcile_walks look;
    struct db_walk silent;
    struct {
        int64_t from_ms, until_ms; /* of what may be lost; both 0: nothing */
        int64_t begin_ms;          /* not published again before */
        struct db_walk walk;
    } lost;
};

static void queue_is_away(struct reconciler *r) {
    if (!r->away)
        r->lost.until_ms = clock_mono_ms();
    r->away = true;
}

/* The queue answers again. A broker may have forgotten what it had. */
static void queue_is_back(struct reconciler *r) {
    int64_t now = clock_mono_ms(), from = r->reached_ms - SHORTLY_MS;
    bool more = r->lost.from_ms && r->lost.from_ms < from; /* of an outage just before */
    r->away = false;
    r->lost.from_ms = more ? r->lost.from_ms : from;
    r->lost.begin_ms = now + (int64_t)random_below(SPREAD_MS);
    r->lost.walk = (struct db_walk){0};
}

/* Finds out what has left the queue. False when the queue does not tell. */
static bool look_at_queue(struct reconciler *r, int64_t published_ms) {
    int64_t asked_ms = clock_mono_ms();
    struct queue_counts messages;
    if (queue_count(r->queue, false, &messages) != QUEUE_OK) {
        queue_is_away(r);
        return false;
    }
    if (r->away)
        queue_is_back(r);
    r->reached_ms = asked_ms;
    if (messages.visible + messages.hidden + messages.delayed == 0)
        r->before_ms = published_ms;
    return true;
}

/* Orders that have been silent for long. The number of messages that SQS tells may be old by a minute. */
static enum db_status announce_silent(struct reconciler *r, struct db *db, int64_t now_ms,
                                      size_t *announced) {
    int64_t after_ms = r->app->service.config->reconcile_after;
    struct reconcile_span span = {.at_least_ms = after_ms,
                                  .at_most_ms = EVER,
                                  .before_ms = r->before_ms - after_ms / 10,
                                  .now_ms = now_ms,
                                  .walk = &r->silent};
    return reconcile_store_announce(db, &span, after_ms, announced);
}

/* Orders that may be lost with an outage, and are not silent for long yet. */
static enum db_status announce_lost(struct reconciler *r, struct db *db, int64_t now_ms, size_t *announced) {
    int64_t now = clock_mono_ms(), after_ms = r->app->service.config->reconcile_after;
    if (r->lost.from_ms && now - r->lost.until_ms > after_ms)
        r->lost.from_ms = 0; /* by now they are silent for long */
    if (!r->lost.from_ms || now < r->lost.begin_ms)
        return DB_OK;
    struct reconcile_span span = {.at_least_ms = now - r->lost.until_ms,
                                  .at_most_ms = now - r->lost.from_ms,
                                  .before_ms = r->before_ms,
                                  .now_ms = now_ms,
                                  .walk = &r->lost.walk};
    return reconcile_store_announce(db, &span, after_ms, announced);
}

static enum db_status reconcile(struct reconciler *r, struct db *db, size_t *most) {
    size_t silent = 0, lost = 0;
    struct reconcile_sight sight;
    enum db_status status = reconcile_store_look(db, &r->look, &sight);
    if (status != DB_OK)
        return status;
    if (!sight.on_their_way)
        r->reached_ms = clock_mono_ms();
    if (!sight.on_their_way || !look_at_queue(r, sight.published_ms) || !r->before_ms)
        return DB_OK;
    status = announce_silent(r, db, sight.now_ms, &silent);
    if (status == DB_OK)
        status = announce_lost(r, db, sight.now_ms, &lost);
    if (silent + lost) {
        metric_add(r->app->series.repeated_orders, (int64_t)(silent + lost));
        outbox_wake(r->app->outbox);
        log_info(NULL, "re-announcing %zu order(s) without recent status", silent + lost);
    }
    *most = silent > lost ? silent : lost;
    return status;
}

static int64_t reconciler_run(void *self, struct db *db, enum db_status *status) {
    size_t most = 0;
    *status = reconcile(self, db, &most);
    return most == RECONCILE_LIMIT ? BUSY_PAUSE_MS + (int64_t)random_below(BUSY_PAUSE_MS) : PAUSE_MS;
}

void *reconciler_start(void *app) {
    struct reconciler *r = calloc(1, sizeof *r);
    struct queue_options queue;
    if (!r)
        return NULL;
    r->app = app;
    r->reached_ms = clock_mono_ms();
    config_orders_queue(r->app->service.config, &queue);
    r->queue = queue_open(&queue);
    if (r->queue)
        r->job = db_job_start(&(struct db_job_options){.name = "reconciler",
                                                       .db = service_db_of(&r->app->service, DB_LATE),
                                                       .run = reconciler_run,
                                                       .self = r});
    if (r->job)
        return r;
    reconciler_stop(r, 0);
    return NULL;
}

void reconciler_stop(void *reconciler, int64_t deadline_ms) {
    struct reconciler *r = reconciler;
    (void)deadline_ms;
    if (r->queue)
        queue_interrupt(r->queue);
    db_job_stop(r->job);
    queue_close(r->queue);
    free(r);
}
