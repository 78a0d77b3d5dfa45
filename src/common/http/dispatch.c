/* The two stages of a request: guard and prepare on an HTTP thread, run in a batch on a worker's. */
#include "measure.h"
#include "private.h"
#include "stream.h"
#include "trace.h"

#include "common/base/clock.h"
#include "common/base/log.h"

enum { RETRY_MS = 5000 }; /* how long a worker retries the requests of a refused batch */

/* ---- On an HTTP thread ---- */

static bool shed(struct http_request *request) {
    http_measure_refusal(http_exchange_of(request)->server->measures, HTTP_REFUSED_LANE);
    http_reply_problem(request, PROBLEM_OVERLOADED, "Too many requests are waiting");
    return false;
}

/* Whether the caller may use the route; false when it was answered. */
static bool may_enter(struct http_exchange *x) {
    const struct http_options *o = &x->server->options;
    return !x->request.route->scope || (o->guard(o->guard_cls, &x->request) && http_within_client(x));
}

static size_t lane_of(const struct http_exchange *x) {
    return (size_t)(x->request.route - x->server->options.routes);
}

void http_admit(struct http_exchange *x) {
    struct http_request *request = &x->request;
    if (request->reply.status || request->arena.failed)
        return;
    bool costly = request->route->run || request->route->body_limit;
    if (costly && http_memory_is_short(x->server)) /* before the guard, so that a refusal costs little */
        http_refuse_memory(x);
    else if (request->route->run && !batch_has_room(x->server->pool, lane_of(x)))
        (void)shed(request);
    else if (may_enter(x) && request->route->body_limit)
        (void)http_expect_plain(request);
}

bool http_dispatch(struct http_exchange *x) {
    struct http_request *request = &x->request;
    if (request->reply.status || request->arena.failed)
        return false;
    const struct http_route *route = request->route;
    route->prepare(request);
    if (request->reply.status || request->arena.failed || !route->run)
        return false;
    buf_free(&request->body);
    if (!batch_reserve(x->server->pool, lane_of(x)))
        return shed(request);
    http_measure_queued(x->server->measures, lane_of(x));
    http_trace_queued(x);
    http_suspend(x);
    batch_push(x->server->pool, lane_of(x),
               &x->item); /* a worker owns the exchange from here on: http_run_batch */
    return true;
}

/* ---- On a worker's thread ---- */

static struct http_exchange *exchange_of_item(struct batch_item *item) {
    return (struct http_exchange *)((char *)item - offsetof(struct http_exchange, item));
}

void http_let_next(struct http_request *request) {
    batch_let_next(&http_exchange_of(request)->item);
}

static void answer_failure(struct http_request *request, enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_UNAVAILABLE:
        http_reply_problem(request, PROBLEM_UNAVAILABLE, "The database is unavailable");
        break;
    case OUTCOME_BUSY:
        http_reply_problem(request, PROBLEM_UNAVAILABLE,
                           "The request conflicted with other requests; try again");
        break;
    case OUTCOME_NO_MEMORY:
        request->arena.failed = true;
        break;
    case OUTCOME_DONE:
    case OUTCOME_REFUSED:
    case OUTCOME_FAILED:
        http_reply_problem(request, PROBLEM_INTERNAL_ERROR, "The request could not be processed");
        break;
    }
}

/* Whether the request still needs an answer. If its memory failed it needs none: the server sends a 503. */
static bool is_unanswered(struct http_request *request) {
    return !http_is_kept(http_exchange_of(request)) && !request->reply.status && !request->arena.failed;
}

/* Whether the requests would have been served, had the database been well. */
static bool is_outage(enum outcome outcome) {
    return outcome == OUTCOME_UNAVAILABLE || outcome == OUTCOME_BUSY;
}

/* An outage is a line when it begins and one when it ends, however many requests it costs. Another failure is one
 * line. */
static void log_unanswered(const struct http_server *server, const struct http_route *route,
                           const struct http_worker *worker, const char *first_id, size_t count,
                           enum outcome outcome) {
    const char *why =
        outcome == OUTCOME_DONE ? "the handler gave no answer" : server->options.worker_error(worker);
    if (!is_outage(outcome)) {
        log_error(first_id, "%s %s: %zu request(s) failed: %s", route->method, route->pattern, count, why);
        return;
    }
    for (size_t i = 0; i < count; i++)
        outage_begin(&server->outages[route - server->options.routes].outage, "%s (request %s)", why,
                     first_id);
    if (server->options.unserved && outcome == OUTCOME_UNAVAILABLE)
        atomic_fetch_add(server->options.unserved, count);
}

static void answer_rest(const struct http_server *server, const struct http_route *route,
                        const struct http_worker *worker, struct http_request *const requests[], size_t n,
                        enum outcome outcome) {
    const char *first_id = NULL;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_unanswered(requests[i]))
            continue;
        if (count++ == 0)
            first_id = requests[i]->request_id;
        answer_failure(requests[i], outcome);
    }
    if (count)
        log_unanswered(server, route, worker, first_id, count, outcome);
    else if (outcome == OUTCOME_DONE)
        outage_end(&server->outages[route - server->options.routes].outage);
}

/* Runs the route for the requests. A refused batch is tried again one by one, so that a bad request does not fail
 * the others. Each request may wait for the same lock, so the retries end after RETRY_MS. */
static void run_route(const struct http_server *server, const struct http_route *route,
                      struct http_worker *worker, struct http_request *requests[], size_t n) {
    struct span span;
    http_trace_batch(&span, requests, n);
    enum outcome outcome = route->run(worker, requests, n);
    http_trace_batch_end(&span, route, requests, n, outcome);
    if ((outcome == OUTCOME_REFUSED || outcome == OUTCOME_BUSY) && n > 1) {
        int64_t enough_ms = clock_mono_ms() + RETRY_MS;
        for (size_t i = 0; i < n && clock_mono_ms() < enough_ms; i++)
            if (is_unanswered(requests[i]))
                run_route(server, route, worker, &requests[i], 1);
        outcome = OUTCOME_BUSY; /* for those that were not retried */
    }
    answer_rest(server, route, worker, requests, n, outcome);
}

void http_run_batch(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    struct http_server *server = cls;
    struct http_request *fresh[BATCH_LIMIT];
    int64_t oldest = clock_mono_ms() - server->options.queue_timeout_ms;
    bool expired = atomic_load(&server->expired);
    size_t kept = 0;
    http_measure_taken(server->measures, lane, items[0], n);
    for (size_t i = 0; i < n; i++) {
        struct http_exchange *x = exchange_of_item(items[i]);
        http_trace_taken(x);
        if (!expired && items[i]->queued_ms >= oldest) {
            fresh[kept++] = &x->request;
            continue;
        }
        http_measure_refusal(server->measures, HTTP_REFUSED_LATE);
        http_reply_problem(&x->request, PROBLEM_OVERLOADED, "The request waited too long");
    }
    if (kept)
        run_route(server, &server->options.routes[lane], worker, fresh, kept);
    for (size_t i = 0; i < n; i++) {
        struct http_exchange *x = exchange_of_item(items[i]);
        if (!http_is_kept(x))
            http_hold_reply(x);
        if (http_let_go(x))
            http_resume(x);
    }
    http_measure_done(server->measures);
}
