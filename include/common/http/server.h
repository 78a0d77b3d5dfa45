/* The HTTP server: a table of routes, and the two-stage path of a request. The only room that includes
 * libmicrohttpd, and GnuTLS, which it uses for TLS.
 *
 * Stage one runs on an HTTP thread and never blocks: it finds the route, reads the body, asks the guard, and calls
 * the route's prepare. A route with run then waits in its lane. A worker takes all that waits there as one batch,
 * and calls run. */
#pragma once

#include "common/base/outcome.h"
#include "common/http/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BATCH_MAX 1024 /* requests of one call of run, at most */

struct http_server;
struct http_worker; /* what a worker works with: the daemon's to define */

struct http_route {
    const char *method;  /* "GET" also serves HEAD */
    const char *pattern; /* "/orders/:id": a segment that starts with ':' is a parameter */
    const char *scope;   /* required scope; NULL: open to all */
    size_t body_limit;   /* bytes; 0: no body is read */
    /* On an HTTP thread, must not block. It answers, or (in a route with run) leaves what run needs in
     * request->command. When the request's arena is out of memory it may just return: the server answers 503. */
    void (*prepare)(struct http_request *request);
    /* On a worker's thread. Answers every request of the batch and returns OUTCOME_DONE. On another outcome it may
     * leave requests unanswered: the server answers them. After OUTCOME_REFUSED and OUTCOME_BUSY, where one bad
     * request may have spoilt the batch, the server calls run again for each alone. So run may be called twice for
     * a request, and must keep no change of a call that failed. NULL: prepare answers. */
    enum outcome (*run)(struct http_worker *worker, struct http_request *requests[], size_t n);
};

struct http_options {
    const char *bind_address;
    int port;                                 /* 0: any free one, see http_port */
    const char *tls_cert_file, *tls_key_file; /* PEM, read again when they change; "": plain HTTP */
    unsigned threads;
    unsigned max_connections;
    int64_t timeout_ms; /* of each step of a client: an idle connection, a request's arrival, an answer's */
    /* A request that waited longer in its lane is answered 503. A lane is full when its first request has waited
     * for half of it, or when all are expected to take a tenth of it: so it is empty soon after a rush. */
    int64_t queue_timeout_ms;
    size_t lane_capacity, max_batch, workers;
    const char *trusted_proxies; /* see address_list_parse: whose X-Forwarded-For is believed */
    int64_t address_limit; /* requests a second of one address, to routes with a scope or a body; 0: any */
    int64_t client_limit;  /* requests a second of one client, to routes with a scope; 0: any */
    const struct http_route *routes; /* ends with a NULL method; must outlive the server */
    /* Called for each request of a route with a scope: true to go on, false when it has answered. */
    bool (*guard)(void *guard_cls, struct http_request *request);
    void *guard_cls;
    void *app; /* for request->app, and for open_worker */
    struct http_worker *(*open_worker)(void *app);
    void (*close_worker)(struct http_worker *worker);
    const char *(*worker_error)(const struct http_worker *worker); /* words for its last failure */
};

/* Binds and serves. NULL on failure, which is logged. */
struct http_server *http_start(const struct http_options *options);
int http_port(const struct http_server *server);

/* Stops accepting, answers what was accepted (until the deadline, then 503), joins all threads, frees. NULL is fine.
 * Not on an HTTP or worker thread. */
void http_stop(struct http_server *server, int64_t deadline_ms);
