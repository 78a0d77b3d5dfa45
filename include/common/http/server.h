/* The HTTP server: a table of routes, and the two-stage path of a request. The only room that includes
 * libmicrohttpd, and GnuTLS, which it uses for TLS.
 *
 * Stage one runs on an HTTP thread and never blocks. It finds the route, reads the body, asks the guard, and calls
 * the prepare of the route. A request to a route with run then waits in the lane of the route. A worker takes all
 * requests that wait there as one batch, and calls run. */
#pragma once

#include "common/base/outcome.h"
#include "common/http/request.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BATCH_MAX 1024 /* maximum requests of one call of run */

struct http_server;
struct http_worker; /* the connections of a worker; defined by the daemon */

struct http_route {
    const char *method;  /* "GET" also serves HEAD */
    const char *pattern; /* "/orders/:id": a segment that starts with ':' is a parameter */
    const char *scope;   /* required scope, which the guard checks; NULL: open to all */
    size_t body_limit;   /* bytes; 0: no body is expected, one of up to 64 KiB is ignored */
    /* Called on an HTTP thread; must not block. It answers, or (in a route with run) leaves what run needs in
     * request->command. When the arena of the request is out of memory it may just return: the server then answers
     * 503. */
    void (*prepare)(struct http_request *request);
    /* Called on a worker's thread. Answers every request of the batch and returns OUTCOME_DONE. On another outcome
     * it may leave requests unanswered, and the server answers them. After OUTCOME_REFUSED and OUTCOME_BUSY one bad
     * request may have spoilt the batch, so the server calls run again for each request alone. So run may be called
     * twice for a request, and must keep no change of a failed call. NULL: prepare answers. */
    enum outcome (*run)(struct http_worker *worker, struct http_request *requests[], size_t n);
    bool
        slow; /* takes long, or answers at length: all slow routes together get half of the workers, in small batches */
};

struct http_options {
    const char *bind_address;
    int port;                                 /* 0: any free port, see http_port */
    const char *tls_cert_file, *tls_key_file; /* PEM, loaded again when they change; "": plain HTTP */
    unsigned threads;
    unsigned max_connections;
    int64_t timeout_ms; /* for each step of a client: being idle, sending a request, receiving an answer */
    /* A request that waited longer in its lane is answered 503. A lane counts as full when its first request has
     * waited for half of this time, or when all its requests will take a tenth of it. So it is empty soon after a
     * rush. */
    int64_t queue_timeout_ms;
    size_t lane_capacity, max_batch, workers;
    size_t
        memory_limit; /* bytes of bodies, what is made of them, and replies; beyond it requests get 503; 0: none */
    const char *trusted_proxies; /* whose X-Forwarded-For is believed; see address_list_parse */
    const char *cors_origins; /* whose pages may read the answers; see cors_origins_valid; NULL or "": none */
    int64_t address_limit; /* requests a second per address, to routes with a scope or a body; 0: no limit */
    int64_t client_limit;  /* requests a second per client, to routes with a scope; 0: no limit */
    bool access_log;       /* a line at info level for each request, instead of debug */
    int64_t
        slow_ms; /* a request that takes this long from its arrival has a line at warn level; 0: none has */
    const struct http_route *routes; /* ends with a NULL method; must outlive the server */
    /* Called for each request to a route with a scope. True to go on, false when it has answered. */
    bool (*guard)(void *guard_cls, struct http_request *request);
    void *guard_cls;
    void *app; /* for request->app, and for open_worker */
    struct http_worker *(*open_worker)(void *app);
    void (*close_worker)(struct http_worker *worker);
    const char *(*worker_error)(const struct http_worker *worker); /* the message of its last failure */
    bool unmeasured;                                               /* requests are not counted */
    atomic_ullong *unserved; /* counts the requests that a worker could not serve, for the health check */
};

/* The file descriptors that the server has open at most, without those of its workers. */
size_t http_files(const struct http_options *options);

/* Binds and serves. NULL on failure, which is logged. */
struct http_server *http_start(const struct http_options *options);
int http_port(const struct http_server *server);

/* Loads the certificate and its key again, soon. If that fails, it is logged, and the old ones stay. Any thread. */
void http_reload(struct http_server *server);

/* From now on each answer closes its connection, so that clients and load balancers take another one, and elsewhere. The
 * port stays open. NULL is fine. Any thread. */
void http_drain(struct http_server *server);

/* Stops accepting, answers the requests that have arrived whole (until the deadline, then with 503), joins all threads and
 * frees. Clients that are slow at sending or receiving have 2 s. NULL is fine. Not on an HTTP or worker thread. */
void http_stop(struct http_server *server, int64_t deadline_ms);
