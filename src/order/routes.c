/* The routes of order-svc. Each entry names the functions that handle it. */
#include "routes.h"

#include "common/service/health.h"
#include "events.h"
#include "orders.h"
#include "tokens.h"
#include "well_known.h"

enum { ORDER_BODY = 64 * 1024, TOKEN_BODY = 16 * 1024 };

const struct http_route order_routes[] = {
    {.method = "POST", .pattern = "/auth/token", .body_limit = TOKEN_BODY, .prepare = tokens_issue_prepare},
    {.method = "POST",
     .pattern = "/auth/revoke",
     .body_limit = TOKEN_BODY,
     .prepare = tokens_revoke_prepare,
     .run = tokens_revoke_run},
    {.method = "POST",
     .pattern = "/auth/introspect",
     .body_limit = TOKEN_BODY,
     .prepare = tokens_introspect_prepare},
    {.method = "GET", .pattern = "/.well-known/jwks.json", .prepare = well_known_jwks_prepare},
    {.method = "GET",
     .pattern = "/.well-known/oauth-authorization-server",
     .prepare = well_known_metadata_prepare},
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
     .run = orders_list_run,
     .slow = true},
    {.method = "GET",
     .pattern = "/orders/:id",
     .scope = "order:read",
     .prepare = orders_get_prepare,
     .run = orders_get_run},
    {.method = "GET",
     .pattern = "/orders/:id/events",
     .scope = "order:read",
     .prepare = order_events_prepare,
     .run = events_run,
     .slow = true},
    {.method = "GET",
     .pattern = "/events",
     .scope = "order:read",
     .prepare = events_prepare,
     .run = events_run,
     .slow = true},
    {.method = "GET", .pattern = "/health", .prepare = health_prepare},
    {.method = "GET", .pattern = "/health/live", .prepare = health_live_prepare},
    {.method = "GET", .pattern = "/health/ready", .prepare = health_ready_prepare},
    {0},
};
