/* What the files of the HTTP server share: the server, its connections, and the steps of a request. */
#pragma once

#include "batch.h"
#include "common/base/log_limit.h"
#include "common/base/outage.h"
#include "common/http/server.h"
#include "common/tracing/tracing.h"
#include "connection.h"

#include <microhttpd.h>
#include <stdatomic.h>

enum {
    HTTP_CONNECTION_MEMORY = 12288, /* for the heads of a request and of its answer, in libmicrohttpd */
    HTTP_DISCARD_LIMIT =
        8 << 20,              /* bytes of a request that are read and dropped, so that its answer arrives */
    HTTP_LINGERING_MAX = 128, /* sockets that are read after their answer; each is a file descriptor */
};

/* The failures of one route that are not the requests' fault. */
struct http_outage {
    char name[96]; /* "database for POST /orders" */
    struct outage outage;
};

struct http_server {
    struct http_options options;
    struct http_outage *outages; /* one for each route, at the route's index */
    struct MHD_Daemon *daemon;
    struct http_tls *tls; /* NULL: plain HTTP */
    struct http_connections *connections;
    struct http_measures *measures; /* NULL: nothing is counted */
    struct address_list proxies;
    struct limit *by_address, *by_client;
    struct batch_pool *pool; /* one lane for each route, at the route's index */
    struct log_limit access_lines;
    atomic_size_t held;      /* bytes of memory, of options.memory_limit */
    atomic_size_t open_held; /* of these, for bodies of routes without a scope */
    atomic_size_t receiving; /* requests whose head has arrived, but not their end */
    atomic_size_t in_flight; /* requests that have arrived whole and have no answer yet */
    atomic_bool draining;    /* every answer closes its connection */
    atomic_bool expired;     /* the deadline of http_stop has passed: waiting requests are answered 503 */
};

/* A request, and what only the server knows about it. */
struct http_exchange {
    struct http_request request; /* must stay first */
    struct batch_item item;      /* in the lane of its route */
    struct http_server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    size_t body_limit, received; /* bytes of the body */
    size_t sent;                 /* bytes of the answer's body */
    int64_t began_ns;
    size_t held, open_held; /* bytes of memory, as counted by the server */
    size_t head_memory;     /* that libmicrohttpd needs for the head */
    atomic_size_t *counted; /* the counter of the server that counts it; NULL: none */
    int64_t whole_ms;       /* when it had arrived to its end; 0: it was answered before */
    enum { HTTP_RECEIVING, HTTP_WAITING, HTTP_ANSWERED } stage;
    struct span span;                   /* of the request */
    const char *span_method, *protocol; /* for its span; static; set when that is recorded */
    char batch[TRACEPARENT_SIZE];       /* the span of its batch, when that is in another trace; "": none */
    int64_t queued_ns;                  /* when it began to wait for a worker, for a span */
    struct http_stream *stream;         /* its reply, in its arena; NULL: the reply is whole */
    atomic_uint keeping;                /* whether and how it is answered later (stream.c) */
    int64_t kept_ns;                    /* since when */
};

static inline struct http_exchange *http_exchange_of(struct http_request *request) {
    return (struct http_exchange *)request;
}

/* The memory of requests in progress, of which http_options has the limit. A body that does not fit is answered 503. So is
 * the reply of a GET that does not fit. Any thread that owns the exchange. */
bool http_memory_is_short(struct http_server *server);
void http_refuse_memory(struct http_exchange *x);
void http_hold_body(struct http_exchange *x, size_t size); /* for a further piece */
void http_hold_reply(struct http_exchange *x);
void http_release(struct http_exchange *x);

/* Sockets of clients that were answered before they had sent all. Each is read for a while, and what comes is dropped: at
 * most HTTP_DISCARD_LIMIT, for 10 s. Any thread. */
struct http_lingering *http_linger_start(void);          /* NULL when out of memory, threads or files */
void http_linger_stop(struct http_lingering *lingering); /* gives them 300 ms; NULL is fine */
/* Whether a client might lose its answer if its socket was closed now. whole: it has sent a whole request. */
bool http_linger_is_needed(int socket, bool whole);
/* Lingers on a copy of the socket, which the caller closes. Does nothing when there are too many. */
void http_linger(struct http_lingering *lingering, int socket);

/* Makes the connection wait for a worker, until http_resume. From then on the caller does not own the exchange. */
void http_suspend(struct http_exchange *x);
void http_resume(struct http_exchange *x); /* any thread */

/* Refuses what another HTTP parser on the way might read differently (request smuggling, RFC 9112 §11.2), what
 * libmicrohttpd should refuse but does not, and a head that leaves no room for the head of the answer. After a
 * refusal the connection must be closed, as nobody knows where its next request begins. */
bool http_framing_is_clear(struct http_exchange *x, const char *version);

/* Whether the fields behind a chunked body leave room for the head of the answer. Otherwise it is refused. */
bool http_trailers_fit(struct http_exchange *x);

/* Whether the body is sent as it is, without a Content-Encoding. If not, answers 415. */
bool http_expect_plain(struct http_request *request);

/* Starts the limits of a server. False when out of memory, or when TRUSTED_PROXIES is invalid, which is logged. */
bool http_limits_start(struct http_server *server);
void http_limits_stop(struct http_server *server);

/* The address of the client that sent the request. */
struct address http_client_address(struct http_exchange *x);

/* Whether the limit of the request's address, or of its client, allows it. See http_within. */
bool http_within_address(struct http_exchange *x);
bool http_within_client(struct http_exchange *x) MUST_CHECK;

/* Gives back what was reserved and not spent. Before http_limit_fields, and when there is no reply. */
void http_settle(struct http_request *request);

/* Logs the request and its answer: at warn level if it failed by our fault or was slow, but only some of these a second. */
void http_log_answer(struct http_exchange *x);

/* Adds the limits to the headers of the reply. */
void http_limit_fields(struct http_request *request);

/* Finds the route of a new request, before its body is read. If there is none, the answer is in the reply. */
void http_find_route(struct http_exchange *x);

/* CORS. The memory that its fields of an answer need. Whether the request is a preflight of a listed origin, which is then
 * answered: methods are those of the path. The fields of an answer. */
size_t http_cors_memory(const struct http_server *server);
bool http_cors_preflight(struct http_exchange *x, const char *methods);
void http_cors_fields(struct MHD_Response *response, struct http_exchange *x);

/* Decides from the head of a request whether its body is wanted: whether its lane has room, its guard lets it in, and its
 * client is within its limit. If not, the answer is in the reply. */
void http_admit(struct http_exchange *x);

/* The whole request has arrived. Calls prepare, and hands the request to a worker (true), or leaves the answer in the
 * reply (false). */
bool http_dispatch(struct http_exchange *x);

/* The workers' function (batch.h): runs the route of a batch. cls is the server. */
void http_run_batch(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n);

/* Turns the reply into a 503 if memory ran out for any part of it. Called once, before the reply is sent. */
void http_reply_shortage(struct http_request *request);

/* libmicrohttpd calls this for the headers of a request, for pieces of its body, at its end, and again when it is
 * resumed. */
enum MHD_Result http_exchange_step(void *server, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data, size_t *size,
                                   void **context);
/* The answer was sent, or the connection is gone. */
void http_exchange_end(void *server, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code);
