/* The two stages of a request: guards and prepare on the HTTP thread, run in a batch on a worker's. */
#include "private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "route.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_BODY_LIMIT = 65536, /* of what is read and ignored where no body is expected */
    RETRY_MS = 5000,            /* a worker tries the requests of a refused batch again for no longer */
};

void http_find_route(struct http_request *request) {
    char allow[ROUTE_ALLOW_SIZE];
    request->body_limit = DEFAULT_BODY_LIMIT;
    switch (route_match(request->server->options.routes, request->method, request->path, &request->arena,
                        &request->route, request->params, allow)) {
    case ROUTE_FOUND:
        if (request->route->body_limit)
            request->body_limit = request->route->body_limit;
        if (request->route->scope || request->route->body_limit) /* the others cost no more than a refusal */
            (void)http_within_address(request);
        break;
    case ROUTE_NOT_ALLOWED:
        http_reply_problem(request, "METHOD_NOT_ALLOWED", "Allowed here: %s", allow);
        http_reply_header(request, "Allow", "%s", allow);
        break;
    case ROUTE_NOT_FOUND:
        http_reply_problem(request, "NOT_FOUND", "There is nothing at this path");
        break;
    case ROUTE_NO_MEMORY:
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
        break;
    }
}

static size_t lane_of(const struct http_server *server, const struct http_route *route) {
    size_t i = 0;
    while (server->lanes[i].route != route)
        i++;
    return i;
}

static bool shed(struct http_request *request) {
    http_reply_problem(request, "OVERLOADED", "Too many requests are waiting");
    return false;
}

bool http_prepare(struct http_request *request) {
    const struct http_server *server = request->server;
    const struct http_route *route = request->route;
    if (request->reply.status)
        return false;
    if (route->run && !batch_has_room(server->pool, lane_of(server, route)))
        return shed(request); /* before the guard and prepare: what is refused must cost little */
    if (route->scope && !(server->options.guard(request) && http_within_client(request)))
        return false;
    route->prepare(request);
    if (request->reply.status || !route->run)
        return false;
    buf_free(&request->body);
    return batch_reserve(server->pool, lane_of(server, route)) || shed(request);
}

void http_enqueue(struct http_request *request) {
    batch_push(request->server->pool, lane_of(request->server, request->route), &request->item);
}

static void answer_failure(struct http_request *request, enum db_status status) {
    switch (status) {
    case DB_UNAVAILABLE:
        http_reply_problem(request, "UNAVAILABLE", "The service cannot use its database now");
        break;
    case DB_BUSY:
        http_reply_problem(request, "UNAVAILABLE", "The request was in conflict with others too often");
        break;
    default:
        http_reply_problem(request, "INTERNAL_ERROR", "The request could not be processed");
    }
}

static size_t unanswered(struct http_request *const requests[], size_t n, const char **first_id) {
    size_t count = 0;
    for (size_t i = n; i-- > 0;) {
        if (!requests[i]->reply.status) {
            *first_id = requests[i]->request_id;
            count++;
        }
    }
    return count;
}

/* Runs the route for the requests; a batch that the database refuses is tried again one by one, so a bad
 * request never fails its neighbours: for a while only, as each may wait for the same lock. One failure, one
 * line in the log. */
static void run_route(const struct http_route *route, struct http_worker *worker,
                      struct http_request *requests[], size_t n) {
    enum db_status status = route->run(worker, requests, n);
    if ((status == DB_REFUSED || status == DB_BUSY) && n > 1) {
        int64_t enough_ms = clock_mono_ms() + RETRY_MS;
        for (size_t i = 0; i < n && clock_mono_ms() < enough_ms; i++)
            if (!requests[i]->reply.status)
                run_route(route, worker, &requests[i], 1);
        status = DB_BUSY; /* of those that had no turn */
    }
    const char *id = NULL;
    size_t left = unanswered(requests, n, &id);
    if (left == 0)
        return;
    log_error(id, "%s %s: %zu request(s) failed: %s", route->method, route->pattern, left,
              status == DB_OK ? "left unanswered" : db_error(worker->db));
    for (size_t i = 0; i < n; i++)
        if (!requests[i]->reply.status)
            answer_failure(requests[i], status);
}

/* Answers what waited too long; moves the others to the front. */
static size_t drop_stale(struct http_server *server, struct http_request *requests[], size_t n) {
    int64_t oldest = clock_mono_ms() - server->options.queue_timeout_ms;
    bool expired = atomic_load(&server->expired);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (expired || requests[i]->item.queued_ms < oldest)
            http_reply_problem(requests[i], "OVERLOADED", "The request waited too long");
        else
            requests[kept++] = requests[i];
    }
    return kept;
}

static void run_lane(void *self, void *worker, struct batch_item *items[], size_t n) {
    const struct http_lane *lane = self;
    struct http_request *all[BATCH_LIMIT], *fresh[BATCH_LIMIT];
    for (size_t i = 0; i < n; i++)
        all[i] = fresh[i] = (struct http_request *)items[i];
    size_t kept = drop_stale(lane->server, fresh, n);
    if (kept)
        run_route(lane->route, worker, fresh, kept);
    http_resume(all, n);
}

bool http_make_lanes(struct http_server *server, struct batch_lane **out) {
    const struct http_options *o = &server->options;
    size_t routes = 0;
    while (o->routes[routes].method)
        routes++;
    server->lanes = calloc(routes + 1, sizeof *server->lanes);
    *out = calloc(routes + 1, sizeof **out);
    if (!server->lanes || !*out)
        return false;
    for (size_t i = 0; i < routes; i++) {
        if (!o->routes[i].run)
            continue;
        struct http_lane *lane = &server->lanes[server->lane_count];
        *lane = (struct http_lane){server, &o->routes[i]};
        (*out)[server->lane_count++] = (struct batch_lane){.run = run_lane,
                                                           .self = lane,
                                                           .capacity = o->lane_capacity,
                                                           .patience_ms = o->queue_timeout_ms / 2,
                                                           .backlog_ms = o->queue_timeout_ms / 10,
                                                           .max_batch = o->max_batch};
    }
    return true;
}
