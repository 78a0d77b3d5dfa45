/* What the HTTP server counts: requests, connections, lanes, batches. */
#include "measure.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CLASSES = 5, /* of status codes */
    CODES = 32,  /* of a class; further ones count as its last */
};

/* Without a route, there is a row for each method that is known, so that nobody can make up labels. */
static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT",     "PATCH",
                                      "DELETE", "OPTIONS", "TRACE", "CONNECT", "_OTHER"};
enum { METHODS = sizeof methods / sizeof *methods };

static size_t method_index(const char *method) {
    size_t i = 0;
    while (i < METHODS - 1 && strcmp(method, methods[i]) != 0)
        i++;
    return i;
}

const char *http_known_method(const char *method) {
    return methods[method_index(method)];
}

static const char *const reasons[HTTP_REFUSALS] = {"rate_limit", "lane_full", "memory", "waited_too_long"};

typedef _Atomic(struct metric_series *) place;

/* Requests of one method and route. */
struct row {
    const char *method, *route; /* "": none */
    /* Made when they first occur, as most never do. */
    place durations[CLASSES * CODES], request_size, response_size;
};

struct lane_measures {
    struct metric_series *depth, *wait, *size;
};

struct http_measures {
    size_t routes;
    struct row *rows; /* two for each route, as GET also serves HEAD; then METHODS */
    struct lane_measures *lanes;
    struct metric_series *active, *connections, *busy, *refused[HTTP_REFUSALS];
    struct metric_series *waiting, *max_waiting;
    int listening; /* a socket; -1: none */
};

static void make_row(struct row *row, const char *method, const char *route) {
    row->method = method;
    row->route = route;
}

/* Several threads may find the same series at once. */
static struct metric_series *series_at(place *at, enum metric metric, const char *const values[]) {
    struct metric_series *series = atomic_load_explicit(at, memory_order_acquire);
    if (!series) {
        series = metric_series(metric, values);
        atomic_store_explicit(at, series, memory_order_release);
    }
    return series;
}

/* NULL for no status: no answer was sent. */
static struct metric_series *durations_of(struct row *row, unsigned status) {
    char code[16];
    unsigned class = status / 100 - 1, rest = status % 100;
    if (class >= CLASSES)
        return NULL;
    place *at = &row->durations[class * CODES + (rest < CODES ? rest : CODES - 1)];
    snprintf(code, sizeof code, "%u", status);
    return series_at(at, METRIC_HTTP_DURATION, METRIC_LABELS(row->method, row->route, code));
}

static void make_lane(struct lane_measures *lane, const struct http_route *route) {
    const char *const values[] = {route->method, route->pattern};
    lane->depth = metric_series(METRIC_LANE_DEPTH, values);
    lane->wait = metric_series(METRIC_LANE_WAIT, values);
    lane->size = metric_series(METRIC_BATCH_SIZE, values);
}

static void make_series(struct http_measures *m, const struct http_options *o) {
    m->active = metric_series(METRIC_HTTP_ACTIVE, NULL);
    m->connections = metric_series(METRIC_HTTP_CONNECTIONS, NULL);
    m->busy = metric_series(METRIC_WORKERS_BUSY, NULL);
    metric_set(metric_series(METRIC_HTTP_MAX_CONNECTIONS, NULL), o->max_connections);
    metric_set(metric_series(METRIC_LANE_CAPACITY, NULL), (int64_t)o->lane_capacity);
    metric_set(metric_series(METRIC_WORKERS, NULL), (int64_t)o->workers);
    for (size_t i = 0; i < HTTP_REFUSALS; i++)
        m->refused[i] = metric_series(METRIC_HTTP_REFUSED, METRIC_LABELS(reasons[i]));
    for (size_t i = 0; i < m->routes; i++) {
        const struct http_route *route = &o->routes[i];
        make_row(&m->rows[2 * i], route->method, route->pattern);
        make_row(&m->rows[2 * i + 1], "HEAD", route->pattern);
        (void)durations_of(&m->rows[2 * i], 500); /* from 0 on: Prometheus sees no increase in a new series */
        (void)durations_of(&m->rows[2 * i], 503);
        if (route->run)
            make_lane(&m->lanes[i], route);
    }
    for (size_t i = 0; i < METHODS; i++)
        make_row(&m->rows[2 * m->routes + i], methods[i], "");
}

struct http_measures *http_measures_new(const struct http_options *options) {
    struct http_measures *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    while (options->routes[m->routes].method)
        m->routes++;
    m->listening = -1;
    m->rows = calloc(2 * m->routes + METHODS, sizeof *m->rows);
    m->lanes = calloc(m->routes + 1, sizeof *m->lanes);
    if (!m->rows || !m->lanes) {
        http_measures_free(m);
        return NULL;
    }
    make_series(m, options);
    return m;
}

void http_measures_free(struct http_measures *m) {
    if (!m)
        return;
    free(m->rows);
    free(m->lanes);
    free(m);
}

/* Of a socket that listens, Linux tells here how many connections wait to be accepted, and how many may. */
static void count_waiting(void *cls) {
    const struct http_measures *m = cls;
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(m->listening, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_LISTEN) {
        metric_set(m->waiting, info.tcpi_unacked);
        metric_set(m->max_waiting, info.tcpi_sacked);
    } else {
        metric_unset(m->waiting);
        metric_unset(m->max_waiting);
    }
}

void http_measure_listening(struct http_measures *m, int socket) {
    if (!m || socket < 0)
        return;
    m->waiting = metric_series(METRIC_HTTP_WAITING, NULL);
    m->max_waiting = metric_series(METRIC_HTTP_MAX_WAITING, NULL);
    m->listening = socket;
    if (!metrics_collect(count_waiting, m))
        log_warn(NULL, "http: connections that wait are not counted: too many collectors");
}

void http_measure_deaf(struct http_measures *m) {
    if (!m || m->listening < 0)
        return;
    metrics_forget(count_waiting, m);
    metric_unset(m->waiting);
    metric_unset(m->max_waiting);
    m->listening = -1;
}

void http_measure_connection(struct http_measures *m, int change) {
    if (m)
        metric_add(m->connections, change);
}

void http_measure_refusal(struct http_measures *m, enum http_refusal why) {
    if (m)
        metric_add(m->refused[why], 1);
}

static struct row *row_of(const struct http_exchange *x) {
    struct http_measures *m = x->server->measures;
    const struct http_route *route = x->request.route;
    if (route)
        return &m->rows[2 * (size_t)(route - x->server->options.routes) + (strcmp(x->method, "HEAD") == 0)];
    return &m->rows[2 * m->routes + method_index(x->method)];
}

void http_measure_begin(struct http_exchange *x) {
    if (!x->server->measures)
        return;
    x->began_ns = clock_mono_ns();
    metric_add(x->server->measures->active, 1);
}

void http_measure_reply(struct http_exchange *x) {
    x->sent = x->request.reply.body.len;
}

void http_measure_end(struct http_exchange *x) {
    if (!x->server->measures)
        return;
    struct row *row = row_of(x);
    const char *const values[] = {row->method, row->route};
    metric_observe(durations_of(row, x->request.reply.status), clock_mono_ns() - x->began_ns,
                   x->request.traceparent);
    metric_observe(series_at(&row->response_size, METRIC_HTTP_RESPONSE_SIZE, values), (int64_t)x->sent, NULL);
    if (x->received)
        metric_observe(series_at(&row->request_size, METRIC_HTTP_REQUEST_SIZE, values), (int64_t)x->received,
                       NULL);
    if (x->request.reply.status == 429)
        http_measure_refusal(x->server->measures, HTTP_REFUSED_LIMIT);
    metric_add(x->server->measures->active, -1);
}

void http_measure_queued(struct http_measures *m, size_t lane) {
    if (m)
        metric_add(m->lanes[lane].depth, 1);
}

void http_measure_taken(struct http_measures *m, size_t lane, const struct batch_item *first, size_t n) {
    if (!m)
        return;
    metric_add(m->busy, 1);
    metric_add(m->lanes[lane].depth, -(int64_t)n);
    metric_observe(m->lanes[lane].size, (int64_t)n, NULL);
    metric_observe(m->lanes[lane].wait, (clock_mono_ms() - first->queued_ms) * 1000000, NULL);
}

void http_measure_done(struct http_measures *m) {
    if (m)
        metric_add(m->busy, -1);
}
