/* The routes of order-svc. */
#pragma once

#include "common/http/server.h"

extern const struct http_route order_routes[];
