/* The HTTP server on libmicrohttpd: starting and stopping. */
#include "half_closed.h"
#include "measure.h"
#include "private.h"
#include "tls.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    GATHER_MS = 5, /* of a batch, behind another one of its route */
    OUTAGE_QUIET_MS = 5000,
    QUIET_MS = 300, /* a draining server that is idle for this long is done */
    SLOW_MS = 2000, /* and waits for this long for a client that neither sends nor receives */
};

static_assert(HTTP_BATCH_MAX == BATCH_LIMIT, "both bound the same batch");

/* Decodes percent escapes. Text with an invalid escape, or with a %00 that would cut it short, stays as it is. No
 * route, id or argument accepts it then. */
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
    if (strstr(format, "resource limit")) /* libmicrohttpd logs this for each client */
        http_connections_starved(connections);
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug(NULL, "http: %s", text);
}

static struct MHD_Daemon *start_daemon(struct http_server *server) {
    const struct http_options *o = &server->options;
    struct sockaddr_storage address;
    bool dual;
    if (!address_to_listen(o->bind_address, (uint16_t)o->port, &address, &dual)) {
        log_error(NULL, "http: BIND_ADDRESS %s is not an IP address", o->bind_address);
        return NULL;
    }
    /* Poll mode: in epoll mode suspend and resume lose wake-ups under load. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address.ss_family == AF_INET6)
        flags |= dual ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
    enum MHD_OPTION secured = MHD_OPTION_END; /* plain HTTP: the options end there */
    if (server->tls) {
        flags |= MHD_USE_TLS;
        secured = MHD_OPTION_HTTPS_PRIORITIES;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_exchange_step, server, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
        server->connections, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end,
        server, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_THREAD_POOL_SIZE, o->threads,
        MHD_OPTION_CONNECTION_LIMIT, o->max_connections, MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify,
        server->connections, MHD_OPTION_URI_LOG_CALLBACK, http_connection_target, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, secured, http_tls_priorities, MHD_OPTION_HTTPS_CERT_CALLBACK,
        http_tls_no_certificate, MHD_OPTION_END);
    if (!daemon)
        log_error(NULL, "http: cannot listen on %s port %d: %s", o->bind_address, o->port, strerror(errno));
    return daemon;
}

size_t http_files(const struct http_options *o) {
    enum {
        OWN = 8,
        PER_THREAD = 3
    }; /* port, eventfd, certificate and key; a thread's wake-up, a copy of a socket */
    return OWN + PER_THREAD * (o->threads + 1) + HTTP_LINGERING_MAX + 2 * HTTP_HALF_CLOSED_MAX +
           o->max_connections;
}

static void free_server(struct http_server *server) {
    http_connections_stop(server->connections);
    http_tls_close(server->tls);
    batch_pool_free(server->pool);
    http_limits_stop(server);
    http_measures_free(server->measures);
    free(server->outages);
    free(server);
}

static void *server_open_worker(void *cls) {
    const struct http_options *o = &((struct http_server *)cls)->options;
    return o->open_worker(o->app);
}

static void server_close_worker(void *cls, void *worker) {
    ((struct http_server *)cls)->options.close_worker(worker);
}

static size_t count_routes(const struct http_options *o) {
    size_t count = 0;
    while (o->routes[count].method)
        count++;
    return count;
}

/* Failures and successes of a route may alternate, as some requests are answered from a cache. */
static bool name_outages(struct http_server *server) {
    const struct http_route *routes = server->options.routes;
    size_t count = count_routes(&server->options);
    server->outages = calloc(count + 1, sizeof *server->outages);
    for (size_t i = 0; server->outages && i < count; i++) {
        struct http_outage *outage = &server->outages[i];
        snprintf(outage->name, sizeof outage->name, "database for %s %s", routes[i].method,
                 routes[i].pattern);
        outage->outage = (struct outage){.name = outage->name, .quiet_ms = OUTAGE_QUIET_MS};
    }
    return server->outages;
}

static bool route_is_slow(void *cls, size_t lane) {
    return ((struct http_server *)cls)->options.routes[lane].slow;
}

static struct batch_pool *server_start_pool(struct http_server *server) {
    const struct http_options *o = &server->options;
    return batch_pool_start(&(struct batch_options){.run = http_run_batch,
                                                    .open_worker = server_open_worker,
                                                    .close_worker = server_close_worker,
                                                    .cls = server,
                                                    .is_slow = route_is_slow,
                                                    .workers = o->workers,
                                                    .lanes = count_routes(o),
                                                    .capacity = o->lane_capacity,
                                                    .patience_ms = o->queue_timeout_ms / 2,
                                                    .backlog_ms = o->queue_timeout_ms / 10,
                                                    .max_batch = o->max_batch,
                                                    .gather_ms = GATHER_MS});
}

static bool server_start(struct http_server *server) {
    if (!http_limits_start(server))
        return false;
    const struct http_options *o = &server->options;
    if (*o->tls_cert_file) {
        server->tls = http_tls_open(o->tls_cert_file, o->tls_key_file);
        if (!server->tls)
            return false;
    }
    server->measures = o->unmeasured ? NULL : http_measures_new(o);
    server->connections =
        http_connections_start(o->timeout_ms, o->max_connections, server->tls, server->measures);
    server->pool = name_outages(server) ? server_start_pool(server) : NULL;
    if (!server->connections || !server->pool) {
        log_error(NULL, "http: cannot start the workers");
        return false;
    }
    server->daemon = start_daemon(server);
    if (!server->daemon)
        return false;
    http_measure_listening(server->measures,
                           MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd);
    return true;
}

struct http_server *http_start(const struct http_options *options) {
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->options = *options;
    if (server_start(server))
        return server;
    if (server->pool)
        batch_pool_stop(server->pool);
    free_server(server);
    return NULL;
}

int http_port(const struct http_server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void http_reload(struct http_server *server) {
    if (server->tls)
        http_tls_reload(server->tls);
}

/* Whether a client waits for something. A request that has arrived whole is answered, however long that takes. A client
 * that is slow at sending, or at receiving, has some time. Otherwise one that does neither would hold up the stop. */
static bool is_busy(struct http_server *server, int64_t waited_ms) {
    return atomic_load(&server->in_flight) || (waited_ms < SLOW_MS && atomic_load(&server->receiving)) ||
           http_connections_receive(server->connections, SLOW_MS);
}

/* Waits until all connections are closed, nobody has waited for a while, or the deadline has passed. */
static void wait_idle(struct http_server *server, int64_t deadline_ms) {
    int64_t start_ms = clock_mono_ms(), busy_ms = start_ms, now;
    while ((now = clock_mono_ms()) < deadline_ms) {
        if (is_busy(server, now - start_ms))
            busy_ms = now;
        unsigned open =
            MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
        if (open == 0 || now - busy_ms > QUIET_MS)
            return;
        clock_sleep_ms(5);
    }
}

void http_drain(struct http_server *server) {
    if (server)
        atomic_store(&server->draining, true);
}

void http_stop(struct http_server *server, int64_t deadline_ms) {
    if (!server)
        return;
    http_measure_deaf(server->measures);
    int listening = MHD_quiesce_daemon(server->daemon);
    http_drain(server);
    if (listening >= 0)
        close(listening);
    wait_idle(server, deadline_ms);
    atomic_store(&server->expired, true);
    /* This resumes every connection: libmicrohttpd aborts if one is still suspended. */
    batch_pool_stop(server->pool);
    wait_idle(server, clock_mono_ms() + QUIET_MS);
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
