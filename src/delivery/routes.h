/* The routes of delivery-svc. */
#pragma once

#include "common/http/http.h"

extern const struct http_route delivery_routes[];

/* The guard of routes with a scope. */
bool delivery_guard(struct http_request *request);
