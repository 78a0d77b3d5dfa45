/* The open connections of the HTTP server, and the time that their clients have. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct http_connection;
struct http_connections;
struct http_measures;
struct http_tls;

/* The connections of a server: at most `most` at a time. tls may be NULL. Each step of a client may take limit_ms,
 * then its connection is closed. The steps are: shaking hands and sending the next request line, sending the rest
 * of the request, receiving the answer. NULL when out of memory. */
struct http_connections *http_connections_start(int64_t limit_ms, unsigned most, struct http_tls *tls,
                                                struct http_measures *measures);
/* Call it when all connections are closed. NULL is fine. */
void http_connections_stop(struct http_connections *connections);

/* Notes that a client could not be accepted for lack of a file descriptor. That is logged soon, once for many
 * clients. */
void http_connections_starved(struct http_connections *connections);

/* libmicrohttpd calls these when a connection opens or closes, and when a request line has arrived. */
void http_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode what);
void *http_connection_target(void *cls, const char *target, struct MHD_Connection *connection);

struct http_connection *http_connection_of(struct MHD_Connection *connection); /* NULL: out of memory */
/* Whether the request line has three parts of printable characters, with one space between them. method and version
 * are what libmicrohttpd made of it. */
bool http_connection_line_is_clear(const struct http_connection *connection, const char *method,
                                   const char *version);
/* The decoded path, without the scheme and host that a client may send before it (RFC 9112 §3.2.2). */
const char *http_connection_path(const struct http_connection *connection, const char *path);
void http_connection_whole(struct http_connection *connection);   /* the request has arrived to its end */
void http_connection_limit(struct http_connection *connection);   /* the client's next step begins */
void http_connection_unlimit(struct http_connection *connection); /* the next step is ours */

/* Whether the client of a connection that was resumed has closed its sending side: its answer is the last. */
bool http_connection_is_half_closed(const struct http_connection *connection);

/* From now on an answer is being sent to the client, or no longer. On the connection's HTTP thread. */
void http_connection_sending(struct http_connection *connection, bool sending);
/* Whether a client that is being sent an answer has received something of it within the last patience_ms. Only one thread
 * may ask. */
bool http_connections_receive(struct http_connections *connections, int64_t patience_ms);
