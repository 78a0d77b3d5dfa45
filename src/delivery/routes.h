/* The routes of delivery-svc. */
#pragma once

#include "common/http/server.h"

extern const struct http_route delivery_routes[];
