/* The HTTP server on libmicrohttpd: connections, request framing, sending replies, start and stop. */
#include "private.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    OWN_FILES = 64,          /* of the process, at most: its parts' connections, queues, threads */
    WORKER_FILES = 4,        /* of a worker, its database's and Redis's while they reconnect included */
    DISCARD_LIMIT = 1 << 20, /* of a body that turned out too large; beyond, the connection is cut */
    QUIET_MS = 300,          /* a draining server with nothing to do for this long is done */
};

static const struct http_header common_headers[] = {
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
};

static bool request_id_valid(const char *id) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = id ? strlen(id) : 0;
    return len > 0 && len < HTTP_REQUEST_ID_SIZE && strspn(id, allowed) == len;
}

static void adopt_request_id(struct http_request *request) {
    const char *id = http_header(request, "X-Request-Id");
    if (!request_id_valid(id))
        id = http_header(request, "X-Correlation-Id");
    if (request_id_valid(id)) {
        memcpy(request->request_id, id, strlen(id) + 1);
    } else {
        struct uuid fresh = uuid_new();
        uuid_format(&fresh, request->request_id);
    }
}

static bool announced_too_large(struct http_request *request) {
    const char *length = http_header(request, "Content-Length");
    return length && strtoull(length, NULL, 10) > request->body_limit;
}

static void reply_too_large(struct http_request *request) {
    http_reply_problem(request, "PAYLOAD_TOO_LARGE", "The body may have at most %zu bytes",
                       request->body_limit);
}

/* libmicrohttpd before 1.0 takes an LF alone, or a CR alone, for the end of a line among chunks. So where a
 * body in chunks ends can be read in two ways, and what follows it is not read at all. */
static bool is_last(struct http_request *request) {
    return atomic_load_explicit(&request->server->draining, memory_order_relaxed) ||
           (MHD_VERSION < 0x00097701 && http_header(request, "Transfer-Encoding"));
}

static enum MHD_Result send_reply(struct http_request *request) {
    struct http_reply *reply = &request->reply;
    http_limit_fields(request);
    size_t len = reply->body.len;
    char *bytes = buf_take(&reply->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        bytes ? len : 0, bytes, bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response) {
        free(bytes);
        return MHD_NO;
    }
    bool cache_control = false;
    for (size_t i = 0; i < reply->header_count; i++) {
        cache_control |= strcmp(reply->headers[i].name, "Cache-Control") == 0;
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    }
    if (!cache_control)
        MHD_add_response_header(response, "Cache-Control", "no-store");
    if (reply->content_type)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    MHD_add_response_header(response, "X-Request-Id", request->request_id);
    for (size_t i = 0; i < sizeof common_headers / sizeof *common_headers; i++)
        MHD_add_response_header(response, common_headers[i].name, common_headers[i].value);
    if (request->server->tls)
        MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    if (is_last(request))
        MHD_add_response_header(response, "Connection", "close");
    http_connection_limit(http_connection_of(request->connection));
    enum MHD_Result result = MHD_queue_response(request->connection, reply->status, response);
    MHD_destroy_response(response);
    /* The route, as the path is anything: somebody's token by mistake, too. */
    log_debug(request->request_id, "%s %s %u", request->method,
              request->route ? request->route->pattern : "(no route)", reply->status);
    return result;
}

/* The headers are there: what can be refused without the body is refused now, and its connection closed. */
static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, void **context) {
    struct http_request *request = http_connection_of(connection) ? calloc(1, sizeof *request) : NULL;
    if (!request)
        return MHD_NO;
    *context = request;
    request->server = server;
    request->app = server->options.app;
    request->connection = connection;
    request->method = method;
    request->path = http_connection_path(http_connection_of(connection), path);
    atomic_fetch_add(&server->in_flight, 1);
    adopt_request_id(request);
    trace_adopt(http_header(request, "traceparent"), request->traceparent);
    if (!http_framing_is_clear(request, version))
        return send_reply(request);
    http_find_route(request);
    if (announced_too_large(request)) {
        reply_too_large(request);
        return send_reply(request);
    }
    return MHD_YES;
}

static enum MHD_Result receive(struct http_request *request, const char *data, size_t *size) {
    if (request->body.len + *size > request->body_limit)
        request->too_large = true;
    if (!request->too_large && !request->reply.status)
        buf_append(&request->body, data, *size);
    else if (request->body.len + *size > DISCARD_LIMIT)
        return MHD_NO;
    else
        request->body.len += *size; /* counts on, keeps nothing */
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result process(struct http_request *request) {
    if (request->too_large) {
        request->body.len = 0;
        reply_too_large(request);
    } else if (request->body.failed) {
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
    }
    if (!http_prepare(request))
        return send_reply(request);
    request->stage = HTTP_WAITING;
    http_connection_unlimit(http_connection_of(request->connection));
    MHD_suspend_connection(request->connection);
    http_enqueue(request); /* from here on the request is a worker's, until it resumes the connection */
    return MHD_YES;
}

/* libmicrohttpd's calls for one request: headers; pieces of the body; the end of it; and again when resumed.
 */
static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **context) {
    struct http_request *request = *context;
    if (!request)
        return begin(cls, connection, path, method, version, context);
    if (request->stage == HTTP_ANSWERED)
        return send_reply(request);
    if (*size)
        return receive(request, data, size);
    return process(request);
}

void http_resume(struct http_request *const requests[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct MHD_Connection *connection = requests[i]->connection;
        requests[i]->stage = HTTP_ANSWERED;
        MHD_resume_connection(connection);
    }
}

static void completed(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code) {
    (void)code;
    struct http_server *server = cls;
    struct http_request *request = *context;
    if (!request)
        return;
    http_connection_limit(http_connection_of(connection)); /* for the next request */
    buf_free(&request->body);
    buf_free(&request->reply.body);
    arena_free(&request->arena);
    free(request);
    *context = NULL;
    atomic_fetch_sub(&server->in_flight, 1);
}

/* Decodes percent escapes. Text with one that is none, or with a NUL that would cut it short, stays as it is
 * and matches nothing. */
static size_t unescape(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls, (void)connection;
    for (const char *at = text; (at = strchr(at, '%')) != NULL; at++)
        if (!isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2]) || strncmp(at, "%00", 3) == 0)
            return strlen(text);
    return MHD_http_unescape(text);
}

static void log_mhd(void *connections, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void log_mhd(void *connections, const char *format, va_list args) {
    char text[512];
    if (strstr(format, "resource limit")) /* which it reaches with each client anew */
        http_connections_starved(connections);
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug(NULL, "http: %s", text);
}

static struct MHD_Daemon *start_daemon(struct http_server *server) {
    const struct http_options *o = &server->options;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    if (inet_pton(AF_INET, o->bind_address, &address.sin_addr) != 1) {
        log_error(NULL, "http: %s is no IPv4 address", o->bind_address);
        return NULL;
    }
    /* Poll mode: in epoll mode suspend and resume lose wake-ups under load. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    enum MHD_OPTION secured = MHD_OPTION_END; /* plain HTTP: the options end there */
    if (server->tls) {
        flags |= MHD_USE_TLS;
        secured = MHD_OPTION_HTTPS_PRIORITIES;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, server->connections,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, completed, server,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_THREAD_POOL_SIZE, o->threads,
        MHD_OPTION_CONNECTION_LIMIT, o->max_connections, MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify,
        server->connections, MHD_OPTION_URI_LOG_CALLBACK, http_connection_target, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, secured, http_tls_priorities, MHD_OPTION_HTTPS_CERT_CALLBACK,
        http_tls_no_certificate, MHD_OPTION_END);
    if (!daemon)
        log_error(NULL, "http: cannot listen on %s:%d: %s", o->bind_address, o->port, strerror(errno));
    return daemon;
}

/* Leaves files for what is not a client's: running out of them would cost us the database. False when there
 * are none left for clients. */
static bool limit_connections(struct http_options *o) {
    struct rlimit files;
    size_t own = OWN_FILES + o->workers * WORKER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return true;
    rlim_t wanted = own + o->max_connections;
    if (files.rlim_cur < wanted) {
        files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < wanted) {
        o->max_connections = files.rlim_cur > own ? (unsigned)(files.rlim_cur - own) : 0;
        log_write(o->max_connections ? LOG_WARN : LOG_ERROR, NULL,
                  "http: a limit of %llu open files leaves room for %u connections",
                  (unsigned long long)files.rlim_cur, o->max_connections);
    }
    return o->max_connections > 0;
}

static void free_server(struct http_server *server) {
    http_connections_stop(server->connections);
    http_tls_close(server->tls);
    batch_pool_free(server->pool);
    http_limits_stop(server);
    free(server->lanes);
    free(server);
}

static struct batch_pool *start_pool(struct http_server *server) {
    const struct http_options *o = &server->options;
    struct batch_pool *pool = NULL;
    struct batch_lane *lanes = NULL;
    if (http_make_lanes(server, &lanes))
        pool = batch_pool_start(&(struct batch_options){.lanes = lanes,
                                                        .lane_count = server->lane_count,
                                                        .workers = o->workers,
                                                        .open_worker = o->open_worker,
                                                        .close_worker = o->close_worker,
                                                        .cls = o->app});
    free(lanes);
    return pool;
}

static bool start(struct http_server *server) {
    if (!limit_connections(&server->options) || !http_limits_start(server))
        return false;
    const struct http_options *o = &server->options;
    if (*o->tls_cert_file) {
        server->tls = http_tls_open(o->tls_cert_file, o->tls_key_file);
        if (!server->tls)
            return false;
    }
    server->connections = http_connections_start(o->timeout_ms, o->max_connections, server->tls);
    server->pool = start_pool(server);
    if (!server->connections || !server->pool) {
        log_error(NULL, "http: cannot start the workers");
        return false;
    }
    server->daemon = start_daemon(server);
    return server->daemon;
}

struct http_server *http_start(const struct http_options *options) {
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->options = *options;
    if (start(server))
        return server;
    if (server->pool)
        batch_pool_stop(server->pool);
    free_server(server);
    return NULL;
}

int http_port(const struct http_server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* Waits until all connections are closed, or no request came for a while, or the deadline. */
static void wait_idle(struct http_server *server, int64_t deadline_ms) {
    int64_t busy_ms = clock_mono_ms();
    while (clock_mono_ms() < deadline_ms) {
        if (atomic_load(&server->in_flight))
            busy_ms = clock_mono_ms();
        unsigned open =
            MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
        if (open == 0 || clock_mono_ms() - busy_ms > QUIET_MS)
            return;
        clock_sleep_ms(5);
    }
}

void http_stop(struct http_server *server, int64_t deadline_ms) {
    if (!server)
        return;
    int listening = MHD_quiesce_daemon(server->daemon);
    atomic_store(&server->draining, true);
    if (listening >= 0)
        close(listening);
    wait_idle(server, deadline_ms);
    atomic_store(&server->expired, true);
    batch_pool_stop(
        server->pool); /* resumes every connection: libmicrohttpd aborts if one is still suspended */
    wait_idle(server, clock_mono_ms() + QUIET_MS);
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
