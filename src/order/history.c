/* The job that keeps the partitions of the history. */
#include "history.h"

#include "app.h"
#include "common/db/job.h"
#include "event_store.h"

enum { PAUSE_MS = 600000, RETRY_MS = 1000 };

static int64_t history_run(void *self, struct db *db, enum db_status *status) {
    const struct order_app *app = self;
    *status = event_store_keep(db, app->service.config->events_retention);
    return *status == DB_OK ? PAUSE_MS : RETRY_MS;
}

/* The first run comes before the first order: after a long stop there is no partition for today. */
void *history_start(void *app) {
    return db_job_start(&(struct db_job_options){.name = "keeper of the history",
                                                 .db = service_db(app),
                                                 .run = history_run,
                                                 .self = app,
                                                 .first_now = true});
}

void history_stop(void *job, int64_t deadline_ms) {
    (void)deadline_ms;
    db_job_stop(job);
}
