/* What delivery-svc answers. */
#include "routes.h"

#include "app.h"
#include "common/auth/auth.h"
#include "common/config/config.h"
#include "common/service/health.h"
#include "shipments.h"

enum { STATUS_BODY_LIMIT = 4096 };

static void get_health(struct http_request *request) {
    health_reply(((const struct delivery_app *)request->app)->health, request);
}

static void get_live(struct http_request *request) {
    health_reply_live(((const struct delivery_app *)request->app)->health, request);
}

static void get_ready(struct http_request *request) {
    health_reply_ready(((const struct delivery_app *)request->app)->health, request);
}

const struct http_route delivery_routes[] = {
    {"GET", "/delivery/shipment/:orderId", "delivery:read", 0, shipments_prepare_order, shipments_get},
    {"GET", "/delivery/shipment/:orderId/events", "delivery:read", 0, shipments_prepare_order,
     shipments_get_events},
    {"POST", "/delivery/shipment/:shipmentId/status", "delivery:write", STATUS_BODY_LIMIT,
     shipments_prepare_change, shipments_change},
    {"GET", "/health", NULL, 0, get_health, NULL},
    {"GET", "/health/live", NULL, 0, get_live, NULL},
    {"GET", "/health/ready", NULL, 0, get_ready, NULL},
    {0}};

bool delivery_guard(struct http_request *request) {
    const struct delivery_app *app = request->app;
    return auth_bearer(request, app->keys, app->revocations, app->config->delivery_anonymous);
}
