/* What the files of the HTTP server share: the server, its connections, and the steps of a request's way. */
#pragma once

#include "batch.h"
#include "common/http/server.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdatomic.h>

enum { HTTP_CONNECTION_MEMORY = 12288 }; /* of libmicrohttpd, for a request's head and an answer's */

struct http_server {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct http_tls *tls; /* NULL: plain HTTP */
    struct http_connections *connections;
    struct address_list proxies;
    struct limit *by_address, *by_client;
    struct batch_pool *pool; /* one lane for each route, at the route's index */
    atomic_size_t in_flight; /* requests whose headers came and whose answer is not yet sent */
    atomic_bool draining;    /* no keep-alive any more */
    atomic_bool expired;     /* the deadline of http_stop has passed: what waits is answered 503 */
};

/* A request, and what only the server knows of it. */
struct http_exchange {
    struct http_request request; /* must stay first */
    struct batch_item item;      /* in the lane of its route */
    struct http_server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    size_t body_limit;
    enum { HTTP_RECEIVING, HTTP_WAITING, HTTP_ANSWERED } stage;
    bool too_large;
};

static inline struct http_exchange *http_exchange_of(struct http_request *request) {
    return (struct http_exchange *)request;
}

/* The certificate of a server, read again when the files change (within seconds): connections that are open
 * keep theirs, new ones get the new one. Files that cannot be used are logged: at the start that is a failure
 * (NULL), later the old certificate stays. The names are borrowed. */
struct http_tls *http_tls_open(const char *cert_file, const char *key_file);
void http_tls_close(struct http_tls *tls); /* after the last connection; NULL is fine */

/* A connection begins and ends (NULL is fine). On any thread. */
struct http_certificate *http_tls_begin(struct http_tls *tls, gnutls_session_t session);
void http_tls_end(struct http_certificate *certificate);

/* TLS 1.2 and 1.3, forward secrecy, authenticated encryption; nothing else. */
extern const char http_tls_priorities[];
/* libmicrohttpd's own credentials: none, as each connection gets ours when it begins. */
gnutls_certificate_retrieve_function2 http_tls_no_certificate;

/* The connections of a server (tls may be NULL), most of them at a time. Each step of a client may take
 * limit_ms: to shake hands and send the line of its next request, the rest of that request, to take the
 * answer; then its connection is closed. NULL when out of memory. */
struct http_connections *http_connections_start(int64_t limit_ms, unsigned most, struct http_tls *tls);
/* When all are closed. NULL is fine. */
void http_connections_stop(struct http_connections *connections);

/* A client could not be let in for want of a file descriptor: that is logged, soon, and not for each. */
void http_connections_starved(struct http_connections *connections);

/* libmicrohttpd's calls when a connection opens or closes, and when the line of a request came. */
void http_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode what);
void *http_connection_target(void *cls, const char *target, struct MHD_Connection *connection);

struct http_connection *http_connection_of(struct MHD_Connection *connection); /* NULL: out of memory */
/* Whether the request line is three parts, one space apart, of printable characters; asked with what
 * libmicrohttpd made of it. */
bool http_connection_line_is_clear(const struct http_connection *connection, const char *method,
                                   const char *version);
/* The decoded path without the scheme and host that a client may send in front (RFC 9112 §3.2.2). */
const char *http_connection_path(const struct http_connection *connection, const char *path);
void http_connection_limit(struct http_connection *connection);   /* the client's next step begins */
void http_connection_unlimit(struct http_connection *connection); /* the next step is ours */

/* The connection waits for a worker, until http_resume: from then on the exchange is not the caller's. */
void http_suspend(struct http_exchange *x);
void http_resume(struct http_exchange *x); /* any thread */

/* Refuses what another HTTP parser on the way might read differently (request smuggling, RFC 9112 §11.2), what
 * libmicrohttpd should refuse but does not, and a head that leaves no room for an answer's. The connection must then
 * be closed, as nobody knows where its next request begins. */
bool http_framing_is_clear(struct http_exchange *x, const char *version);

/* The limits of a server. False when it cannot be started: the reason is logged. */
bool http_limits_start(struct http_server *server);
void http_limits_stop(struct http_server *server);

/* Who sent the request. */
struct address http_client_address(struct http_exchange *x);

/* Whether the limits of the request's address, and of its client, allow it; see http_within. */
bool http_within_address(struct http_exchange *x);
bool http_within_client(struct http_exchange *x) MUST_CHECK;

/* Tells the client of its limits, in the headers of the reply. */
void http_limit_fields(struct http_request *request);

/* Finds the route of a new request, before its body is read. Where there is none, the answer is in the reply. */
void http_find_route(struct http_exchange *x);

/* The whole request is there: asks the guard, calls prepare, and hands it to a worker (true), or leaves the answer in
 * the reply (false). */
bool http_dispatch(struct http_exchange *x);

/* The workers' function (batch.h): runs the route of a batch. cls is the server. */
void http_run_batch(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n);

/* Out of memory for any part of the reply: makes it a 503. Called once, before it is sent. */
void http_reply_shortage(struct http_request *request);

/* libmicrohttpd's calls for one request: headers; pieces of the body; the end of it; and again when resumed. */
enum MHD_Result http_exchange_step(void *server, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data, size_t *size,
                                   void **context);
/* The answer was sent, or the connection is gone. */
void http_exchange_end(void *server, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code);
