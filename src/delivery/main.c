/* delivery-svc: creates shipments, moves them and reports their status. */
#include "app.h"
#include "carrier.h"
#include "corrections.h"
#include "order_consumer.h"
#include "revocation_consumer.h"
#include "revocation_store.h"
#include "routes.h"
#include "shipment_store.h"

#define PLACE(member) offsetof(struct delivery_app, member)

static const struct service_part parts[] = {
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
    .routes = delivery_routes,
    .parts = parts,
    .commands = commands,
    .app_size = sizeof(struct delivery_app),
};

int main(int argc, char *argv[]) {
    return service_main(&delivery_svc, argc, argv);
}
