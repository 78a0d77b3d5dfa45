/* The routes of delivery-svc. Each entry names the functions that handle it. */
#include "routes.h"

#include "common/service/health.h"
#include "shipments.h"

enum { STATUS_BODY = 4096 };

const struct http_route delivery_routes[] = {
    {.method = "GET",
     .pattern = "/delivery/shipment/:orderId",
     .scope = "delivery:read",
     .prepare = shipments_get_prepare,
     .run = shipments_get_run},
    {.method = "GET",
     .pattern = "/delivery/shipment/:orderId/events",
     .scope = "delivery:read",
     .prepare = shipments_get_prepare,
     .run = shipments_events_run,
     .slow = true},
    {.method = "POST",
     .pattern = "/delivery/shipment/:shipmentId/status",
     .scope = "delivery:write",
     .body_limit = STATUS_BODY,
     .prepare = shipments_status_prepare,
     .run = shipments_status_run},
    {.method = "GET", .pattern = "/health", .prepare = health_prepare},
    {.method = "GET", .pattern = "/health/live", .prepare = health_live_prepare},
    {.method = "GET", .pattern = "/health/ready", .prepare = health_ready_prepare},
    {0},
};
