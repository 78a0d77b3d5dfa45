/* The routes of order-svc. */
#pragma once

#include "common/http/http.h"

extern const struct http_route order_routes[];

/* The guard of the routes that need a scope. */
bool order_guard(struct http_request *request);
