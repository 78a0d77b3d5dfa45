/* delivery-svc: creates shipments, moves them and reports their status. */
#include "app.h"
#include "archive_store.h"
#include "carrier.h"
#include "corrections.h"
#include "order_consumer.h"
#include "revocation_consumer.h"
#include "revocation_store.h"
#include "routes.h"
#include "shipment_store.h"

#define PLACE(member) offsetof(struct delivery_app, member)

static void *start_series(void *self) {
    struct delivery_app *app = self;
    app->shipment_delay = metric_series(METRIC_SHIPMENT_DELAY, NULL);
    app->revocation_delay = metric_series(METRIC_REVOCATION_DELAY, NULL);
    app->repeated = metric_series(METRIC_REPEATED, METRIC_LABELS("ORDER_STATUS_UPDATE"));
    return app;
}

static void stop_series(void *app, int64_t deadline_ms) {
    (void)app, (void)deadline_ms;
}

static const struct service_part parts[] = {
    {.name = "series", .start = start_series, .stop = stop_series},
    {.name = "revocation consumer",
     .consume = revocation_consumer_handle,
     .action = "store revocations",
     .probe = &revocation_store_probe,
     .single = true,
     .queue = config_revocations_queue},
    {.name = "status relay",
     .outbox = "delivery_outbox",
     .queue = config_status_queue,
     .place = PLACE(outbox)},
    {.name = "order consumer",
     .consume = order_consumer_handle,
     .action = "create shipments",
     .probe = &shipment_store_probe,
     .queue = config_orders_queue},
    {.name = "carrier", .job = carrier_run},
    {.name = "corrections", .job = corrections_run},
    {.name = "retention", .job = service_retention_run},
    {0},
};

static const struct service_command commands[] = {{0}};

static const struct service_daemon delivery_svc = {
    .name = "delivery-service",
    .ledger = "delivery",
    .config = CONFIG_DELIVERY,
    .migrations = migrations,
    .revocations = "delivery_revoked",
    .probe = &shipment_store_probe,
    .consumes = (service_queue *const[]){config_orders_queue, config_revocations_queue, NULL},
    .routes = delivery_routes,
    .parts = parts,
    .archive = &shipment_archive,
    .commands = commands,
    .app_size = sizeof(struct delivery_app),
};

int main(int argc, char *argv[]) {
    return service_main(&delivery_svc, argc, argv);
}
