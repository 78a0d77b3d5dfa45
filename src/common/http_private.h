/* What http.c and http_dispatch.c share: the server, and the two halves of a request's way. */
#pragma once

#include "common/http.h"

#include <stdatomic.h>

struct http_lane { /* one route with run */
    struct http_server *server;
    const struct http_route *route;
};

struct http_server {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct batch_pool *pool;
    struct http_lane *lanes;
    size_t lane_count;
    atomic_size_t in_flight; /* requests whose headers came and whose answer is not yet sent */
    atomic_bool draining;    /* no keep-alive any more */
    atomic_bool expired;     /* the deadline of http_stop has passed: what waits is answered 503 */
};

/* Finds the route of a new request, before its body is read; without one the answer is in the reply. */
void http_find_route(struct http_request *request);

/* Makes the server's lanes from the routes that have run. False when out of memory. */
bool http_make_lanes(struct http_server *server, struct batch_lane **out);

/* With the whole request there: guard, prepare, and either an answer (false) or a place reserved in the lane
 * (true): then the caller suspends the connection and calls http_enqueue. */
bool http_prepare(struct http_request *request);
void http_enqueue(struct http_request *request);

/* Resumes the connections of answered requests, from a worker's thread. */
void http_resume(struct http_request *const requests[], size_t n);
