/* The HTTP server: a table of routes, and the two-stage path of a request. The only module that includes
 * libmicrohttpd, and GnuTLS, on which that stands.
 *
 * Stage one runs on an HTTP thread and never blocks: route, guards, body, `prepare`. A route with `run` then
 * waits in its lane until a worker takes it together with all that waits there, as one batch. Everything that
 * belongs to a request hangs off struct http_request and goes with it. */
#pragma once

#include "common/http/address.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/http/batch.h"
#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/http/reply.h"
#include "common/http/limit.h"
#include "common/token/token.h"
#include "common/base/trace.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_PARAMS 2
#define HTTP_MAX_LIMITS 4
#define HTTP_REQUEST_ID_SIZE 129

struct MHD_Connection;
struct cache;
struct http_request;
struct http_server;

/* What a worker works with: its own connections, used by its thread alone. */
struct http_worker {
    struct db *db;
    struct cache *cache; /* NULL where the daemon has no Redis */
    void *app;
};

/* Opens a worker's connections (cache NULL: without Redis), for the daemons' open_worker and close_worker.
 * NULL when out of memory. */
struct db_options;
struct cache_options;
struct http_worker *http_worker_open(const struct db_options *db, const struct cache_options *cache,
                                     void *app);
void http_worker_close(void *worker);

/* Guards return true to go on; false when they have answered. */
typedef bool http_guard(struct http_request *request);

struct http_route {
    const char *method;  /* "GET" also serves HEAD */
    const char *pattern; /* "/orders/:id": a segment that starts with ':' is a parameter */
    const char *scope;   /* required scope; NULL: open to all */
    size_t body_limit;   /* bytes; 0: no body is read */
    /* On an HTTP thread, must not block. Either answers, or (in a route with run) leaves what run needs in
     * request->command. */
    void (*prepare)(struct http_request *request);
    /* On a worker's thread: answers every request of the batch and returns DB_OK; or, when the database
     * failed, returns its status with requests left unanswered: then the server answers those (503, 500), or,
     * where the batch may only hold one bad request (DB_REFUSED, DB_BUSY), calls run again for each alone. So
     * run may be called twice for a request and must keep no change of a failed call. NULL: prepare answers.
     */
    enum db_status (*run)(struct http_worker *worker, struct http_request *requests[], size_t n);
};

struct http_request {
    struct batch_item item; /* the lane's; must stay first */
    struct http_server *server;
    const struct http_route *route;
    void *app;
    struct arena arena;                    /* memory that lives as long as the request */
    char request_id[HTTP_REQUEST_ID_SIZE]; /* the caller's X-Request-Id, or ours */
    char traceparent[TRACEPARENT_SIZE];
    const char *params[HTTP_MAX_PARAMS]; /* path parameters in their order */
    struct buf body;                     /* for prepare; gone when run is called */
    struct address address;              /* the client's, where the route has a scope or a body */
    struct token_claims claims;          /* of the verified token, where the route has a scope */
    void *command;                       /* from prepare to run */
    struct http_reply reply;
    /* private to the server */
    struct MHD_Connection *connection;
    const char *method;
    const char *path;
    size_t body_limit;
    struct limit_state limits[HTTP_MAX_LIMITS]; /* what the client is told of */
    size_t limit_count;
    enum { HTTP_RECEIVING, HTTP_WAITING, HTTP_ANSWERED } stage;
    bool too_large;
};

struct http_options {
    const char *bind_address;
    int port;                                 /* 0: any free one, see http_port */
    const char *tls_cert_file, *tls_key_file; /* PEM, read again when they change; "": plain HTTP */
    unsigned threads;
    unsigned max_connections;
    int64_t timeout_ms; /* of each step of a client: an idle connection, a request's arrival, an answer's */
    int64_t queue_timeout_ms; /* a request that waited longer in its lane is answered 503; at once, while the
                                 first there has waited for half of it, or all are expected to take a tenth
                                 of it: so that a lane is empty soon after a rush */
    size_t lane_capacity, max_batch, workers;
    const char *trusted_proxies; /* see address_list_parse: whose X-Forwarded-For is believed */
    int64_t
        address_limit; /* requests a second of one address to routes with a scope or a body; 0: any number */
    int64_t client_limit; /* requests a second of one client to routes with a scope; 0: any number */
    const struct http_route *routes; /* ends with a NULL method; must outlive the server */
    http_guard *guard;               /* called for each request of a route with a scope */
    void *app;                       /* for request->app */
    void *(*open_worker)(void *app); /* makes a struct http_worker */
    void (*close_worker)(void *worker);
};

/* Binds and serves. NULL on failure, which is logged. */
struct http_server *http_start(const struct http_options *options);
int http_port(const struct http_server *server);

/* Stops accepting, answers what was accepted (until the deadline, then 503), joins all threads, frees. NULL
 * is fine. Not on an HTTP or worker thread. */
void http_stop(struct http_server *server, int64_t deadline_ms);

/* What came with the request; borrowed, NULL when missing. On an HTTP thread only. A header or argument that
 * was sent twice is returned once: http_header_count tells. */
const char *http_header(struct http_request *request, const char *name);
unsigned http_header_count(struct http_request *request, const char *name);
const char *http_query(struct http_request *request, const char *name);
/* The first query argument that is not in known (NULL-terminated), is there twice, or has no value (not even
 * an empty one); NULL if there is none.
 */
const char *http_query_fault(struct http_request *request, const char *const known[]);

/* Whether a limit allows the request; else answers 429 and returns false. The client is told how much of it
 * is left, with whatever it is answered (draft-ietf-httpapi-ratelimit-headers). On an HTTP thread only. */
bool http_within(struct http_request *request, struct limit_state state) MUST_CHECK;

/* Whether the body is announced as application/json; else answers 415 and returns false. */
bool http_expect_json(struct http_request *request);
