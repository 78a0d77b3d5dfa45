/* Matching a method and a path against the table of routes. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/http/server.h"

#include <stddef.h>

enum route_result {
    ROUTE_FOUND,
    ROUTE_NOT_FOUND,   /* no route has this path */
    ROUTE_NOT_ALLOWED, /* the path exists, but not with this method; allow lists its methods */
    ROUTE_NO_MEMORY,
};

#define ROUTE_ALLOW_SIZE 64

/* Finds the route of a path whose percent escapes are already decoded. params (in arena) receives its parameters,
 * which are never empty. A GET route also serves HEAD. */
enum route_result route_match(const struct http_route *routes, const char *method, const char *path,
                              struct arena *arena, const struct http_route **route,
                              const char *params[static HTTP_MAX_PARAMS],
                              char allow[static ROUTE_ALLOW_SIZE]) MUST_CHECK;
