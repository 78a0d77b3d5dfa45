/* order-svc: takes orders, publishes them and follows their status. */
#include "app.h"
#include "archive_store.h"
#include "client_command.h"
#include "clients.h"
#include "common/cache/cache.h"
#include "erasure_command.h"
#include "erasure_repeat.h"
#include "expiry.h"
#include "feed.h"
#include "memory.h"
#include "open_orders_store.h"
#include "order_store.h"
#include "reconcile.h"
#include "revocation_repeat.h"
#include "routes.h"
#include "standby.h"
#include "status_consumer.h"
#include "token_command.h"
#include "webhook_fanout.h"
#include "webhook_keeper.h"
#include "webhook_observe.h"
#include "webhook_sender.h"

#define PLACE(member) offsetof(struct order_app, member)

static const struct service_part parts[] = {
    {.name = "memory", .start = memory_start, .stop = memory_stop},
    {.name = "standby", .start = standby_start, .stop = standby_stop, .place = PLACE(standby)},
    {.name = "feed", .start = feed_start, .stop = feed_stop, .place = PLACE(feed), .files = 1},
    {.name = "clients", .start = clients_start, .stop = clients_stop, .place = PLACE(clients)},
    {.name = "order relay", .outbox = "order_outbox", .queue = config_orders_queue, .place = PLACE(outbox)},
    {.name = "revocation relay",
     .outbox = "revocation_outbox",
     .queue = config_revocations_queue,
     .place = PLACE(revocation_outbox)},
    {.name = "status consumer",
     .start = status_consumer_start,
     .stop = status_consumer_stop,
     .files = CACHE_FILES,
     .consumes = true},
    {.name = "reconciler", .start = reconciler_start, .stop = reconciler_stop, .files = QUEUE_FILES},
    {.name = "repeater of revocations", .job = revocation_repeat_run},
    {.name = "repeater of erasures", .job = erasure_repeat_run},
    {.name = "key expiry", .job = expiry_run},
    {.name = "retention", .job = service_retention_run},
    {.name = "webhook sender",
     .start = webhook_sender_start,
     .stop = webhook_sender_stop,
     .place = PLACE(webhook_sender),
     .files = WEBHOOK_SENDER_FILES},
    {.name = "webhook fan-out", .job = webhook_fanout_run},
    {.name = "webhook keeper", .job = webhook_keeper_run},
    {0},
};

static enum db_status observe_order_svc(struct db *db) {
    enum db_status status = observe_orders(db);
    return status == DB_OK ? observe_webhooks(db) : status;
}

static const struct service_command commands[] = {
    {"client", client_command},
    {"token", token_command},
    {"erase", erasure_command},
    {0},
};

static void end_waiting(void *app) {
    feed_drain(((struct order_app *)app)->feed);
}

static const struct service_daemon order_svc = {
    .name = "order-service",
    .ledger = "order",
    .config = CONFIG_ORDER,
    .migrations = migrations,
    .revocations = "revoked",
    .probe = &order_store_probe,
    .consumes = (service_queue *const[]){config_status_queue, NULL},
    .observe = observe_order_svc,
    .uses_redis = true,
    .drain = end_waiting,
    .routes = order_routes,
    .parts = parts,
    .archive = &order_archive,
    .commands = commands,
    .app_size = sizeof(struct order_app),
};

int main(int argc, char *argv[]) {
    return service_main(&order_svc, argc, argv);
}
