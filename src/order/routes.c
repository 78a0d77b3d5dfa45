/* The table of order-svc's routes: from here, one step to the code of each. */
#include "routes.h"

#include "app.h"
#include "common/auth/auth.h"
#include "common/service/health.h"
#include "orders.h"
#include "tokens.h"
#include "well_known.h"

enum { ORDER_BODY = 64 * 1024, TOKEN_BODY = 16 * 1024 };

static void health(struct http_request *request) {
    health_reply(((struct order_app *)request->app)->health, request);
}

static void health_live(struct http_request *request) {
    health_reply_live(((struct order_app *)request->app)->health, request);
}

static void health_ready(struct http_request *request) {
    health_reply_ready(((struct order_app *)request->app)->health, request);
}

bool order_guard(struct http_request *request) {
    const struct order_app *app = request->app;
    return auth_bearer(request, app->keys, app->revocations, false);
}

const struct http_route order_routes[] = {
    {.method = "POST", .pattern = "/auth/token", .body_limit = TOKEN_BODY, .prepare = tokens_issue},
    {.method = "POST",
     .pattern = "/auth/revoke",
     .body_limit = TOKEN_BODY,
     .prepare = tokens_revoke_prepare,
     .run = tokens_revoke_run},
    {.method = "POST", .pattern = "/auth/introspect", .body_limit = TOKEN_BODY, .prepare = tokens_introspect},
    {.method = "GET", .pattern = "/.well-known/jwks.json", .prepare = well_known_jwks},
    {.method = "GET", .pattern = "/.well-known/oauth-authorization-server", .prepare = well_known_metadata},
    {.method = "POST",
     .pattern = "/orders",
     .scope = "order:create",
     .body_limit = ORDER_BODY,
     .prepare = orders_post_prepare,
     .run = orders_post_run},
    {.method = "GET",
     .pattern = "/orders",
     .scope = "order:read",
     .prepare = orders_list_prepare,
     .run = orders_list_run},
    {.method = "GET",
     .pattern = "/orders/:id",
     .scope = "order:read",
     .prepare = orders_get_prepare,
     .run = orders_get_run},
    {.method = "GET", .pattern = "/health", .prepare = health},
    {.method = "GET", .pattern = "/health/live", .prepare = health_live},
    {.method = "GET", .pattern = "/health/ready", .prepare = health_ready},
    {0},
};
