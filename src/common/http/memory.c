/* The memory of requests in progress: bodies and what is made of them, and replies until they are sent. All requests
 * share one budget. */
#include "measure.h"
#include "private.h"

#include <string.h>

enum {
    BODY_COST = 4,  /* a body, and the command and the event that are made of it */
    OPEN_SHARE = 4, /* a quarter of the memory is for bodies of those who need no token */
};

/* Adds bytes to a sum of all requests and to the request's own. False when the sum would pass its limit; 0: there is none. */
static bool hold_within(size_t limit, atomic_size_t *sum, size_t *own, size_t bytes) {
    if (!limit)
        return true;
    if (atomic_fetch_add(sum, bytes) + bytes > limit) {
        atomic_fetch_sub(sum, bytes);
        return false;
    }
    *own += bytes;
    return true;
}

static bool http_hold(struct http_exchange *x, size_t bytes) {
    return hold_within(x->server->options.memory_limit, &x->server->held, &x->held, bytes);
}

void http_refuse_memory(struct http_exchange *x) {
    http_measure_refusal(x->server->measures, HTTP_REFUSED_MEMORY);
    http_reply_problem(&x->request, PROBLEM_OVERLOADED, "Too many large requests are in progress");
}

bool http_memory_is_short(struct http_server *server) {
    size_t limit = server->options.memory_limit;
    return limit && atomic_load_explicit(&server->held, memory_order_relaxed) >= limit;
}

/* Whoever sends bodies slowly holds memory for long. Those who need no token must not leave others without any. */
static bool hold_open(struct http_exchange *x, size_t bytes) {
    size_t limit = x->server->options.memory_limit / OPEN_SHARE;
    return hold_within(limit, &x->server->open_held, &x->open_held, bytes);
}

void http_hold_body(struct http_exchange *x, size_t size) {
    size_t bytes = BODY_COST * size;
    if ((!x->request.route->scope && !hold_open(x, bytes)) || !http_hold(x, bytes))
        http_refuse_memory(x);
}

void http_hold_reply(struct http_exchange *x) {
    size_t size = x->request.reply.body.cap;
    if (http_hold(x, size))
        return;
    if (strcmp(x->request.route->method, "GET") == 0) {
        http_refuse_memory(x);
    } else { /* something has been done, so the client must know */
        atomic_fetch_add(&x->server->held, size);
        x->held += size;
    }
}

void http_release(struct http_exchange *x) {
    atomic_fetch_sub(&x->server->held, x->held);
    atomic_fetch_sub(&x->server->open_held, x->open_held);
    x->held = x->open_held = 0;
}
