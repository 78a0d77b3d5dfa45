/* Cleaning up behind webhooks, a page at a time. */
#include "webhook_keeper.h"

#include "app.h"
#include "common/base/log.h"
#include "webhook_feed_store.h"
#include "webhook_sender.h"

enum { PAUSE_MS = 1000, BUSY_PAUSE_MS = 50 };

int64_t webhook_keeper_run(void *self, struct db *db, enum db_status *status) {
    struct order_app *app = self;
    bool resuming = false, expiring = false, purging = false;
    size_t given_up = 0;
    *status = webhook_feed_store_resume(db, &resuming);
    if (*status == DB_OK && resuming)
        webhook_sender_wake(app->webhook_sender);
    if (*status == DB_OK)
        *status = webhook_feed_store_expire(db, &app->old_deliveries, app->service.config->webhook_retention,
                                            &given_up, &expiring);
    if (given_up) {
        metric_add(app->series.webhooks_given_up, (int64_t)given_up);
        log_warn(NULL, "%zu deliveries of webhooks were given up after WEBHOOK_RETENTION", given_up);
    }
    if (*status == DB_OK)
        *status = webhook_feed_store_purge(db, &purging);
    return resuming || expiring || purging ? BUSY_PAUSE_MS : PAUSE_MS;
}
