/* The open connections. Closes those that take too long, because libmicrohttpd only limits the pause between two
 * bytes. A client that sends or reads one byte a second would stay for ever. */
#include "half_closed.h"
#include "measure.h"
#include "private.h"
#include "tls.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/ticker.h"

#include <ctype.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST_TICK_MS = 1000 };

struct http_connections {
    int64_t limit_ms;
    unsigned most;
    struct http_tls *tls; /* NULL: plain HTTP */
    struct http_measures *measures;
    pthread_mutex_t lock; /* guards the list; the sockets of listed connections stay open while it is held */
    struct http_connection *first;
    unsigned count;
    struct http_lingering *lingering;
    bool full; /* it was full, and that was logged; used by the ticker only */
    atomic_bool starved;
    atomic_uint half_closed; /* connections with half.active */
    struct ticker *ticker;
};

struct http_connection {
    struct http_connections *all;
    int socket;
    struct http_half_closed half;
    struct http_certificate *certificate; /* NULL: plain HTTP */
    atomic_llong sending_ms;              /* when its answer began to be sent; 0: none is */
    uint64_t acked;           /* bytes that the client had received when http_connections_receive asked */
    int64_t acked_ms;         /* and when that number was first seen */
    atomic_llong deadline_ms; /* of the client's next step; set on the connection's HTTP thread */
    int64_t passed_ms; /* the deadline that had passed when end_late last looked; of its thread alone */
    const char *target, *target_end; /* of the request, in libmicrohttpd's buffer */
    bool whole;                      /* no request is in part */
    bool printable;                  /* the target has no control characters */
    size_t scheme; /* length of the scheme that the target begins with, as in "http://host/path"; 0: none */
    struct http_connection *next, **link;
};

/* Logs once when clients begin to wait, and once when they no longer do. */
static void tell_limits(struct http_connections *all, unsigned count) {
    bool full = count >= all->most;
    if (full && !all->full)
        log_warn(NULL, "http: all %u connections are in use: new clients must wait", all->most);
    if (!full && all->full)
        log_info(NULL, "http: accepting connections again");
    all->full = full;
    if (atomic_exchange(&all->starved, false))
        log_error(NULL, "http: the process is out of file descriptors: new clients must wait");
}

/* Whether the client has let its time pass. A request that has arrived on a kept connection and was not read yet did not:
 * that is for us to do, and we take as long again at most. (While an answer is sent, nothing is read.) One that is read just
 * now has its new deadline by the next look, so a deadline counts when it had passed at the look before. */
static bool is_late(struct http_connection *c, int64_t now_ms) {
    int64_t deadline = atomic_load_explicit(&c->deadline_ms, memory_order_relaxed);
    if (deadline >= now_ms)
        return false;
    if (deadline != c->passed_ms) {
        c->passed_ms = deadline;
        return false;
    }
    int unread = 0;
    bool sending = atomic_load_explicit(&c->sending_ms, memory_order_relaxed) != 0;
    return sending || now_ms - deadline > c->all->limit_ms || ioctl(c->socket, FIONREAD, &unread) != 0 ||
           unread == 0;
}

/* Shuts down the connections that are late. To libmicrohttpd this looks as if the client hung up, so it closes
 * them. */
static int64_t end_late(void *self) {
    struct http_connections *all = self;
    int64_t now = clock_mono_ms();
    size_t late = 0;
    pthread_mutex_lock(&all->lock);
    unsigned count = all->count;
    for (struct http_connection *c = all->first; c; c = c->next) {
        if (is_late(c, now)) {
            (void)shutdown(c->socket, SHUT_RDWR);
            late++;
        }
    }
    pthread_mutex_unlock(&all->lock);
    if (late)
        log_debug(NULL, "http: closed %zu connection(s) that exceeded HTTP_TIMEOUT", late);
    tell_limits(all, count);
    return all->limit_ms / 4 < LONGEST_TICK_MS ? all->limit_ms / 4 : LONGEST_TICK_MS;
}

struct http_connections *http_connections_start(int64_t limit_ms, unsigned most, struct http_tls *tls,
                                                struct http_measures *measures) {
    struct http_connections *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->limit_ms = limit_ms;
    all->most = most;
    all->tls = tls;
    all->measures = measures;
    pthread_mutex_init(&all->lock, NULL);
    all->lingering = http_linger_start();
    all->ticker = all->lingering ? ticker_start(end_late, all) : NULL;
    if (all->ticker)
        return all;
    http_connections_stop(all);
    return NULL;
}

void http_connections_stop(struct http_connections *all) {
    if (!all)
        return;
    ticker_stop(all->ticker);
    http_linger_stop(all->lingering);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

void http_connections_starved(struct http_connections *all) {
    atomic_store(&all->starved, true);
}

static struct http_connection *opened(struct http_connections *all, struct MHD_Connection *connection) {
    struct http_connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->all = all;
    c->socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (all->tls)
        c->certificate = http_tls_begin(
            all->tls, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session);
    http_connection_limit(c);
    pthread_mutex_lock(&all->lock);
    c->next = all->first;
    c->link = &all->first;
    if (c->next)
        c->next->link = &c->next;
    all->first = c;
    all->count++;
    http_measure_connection(all->measures, 1);
    pthread_mutex_unlock(&all->lock);
    return c;
}

static void closed(struct http_connection *c) {
    pthread_mutex_lock(&c->all->lock);
    *c->link = c->next;
    c->all->count--;
    http_measure_connection(c->all->measures, -1);
    if (c->next)
        c->next->link = c->link;
    pthread_mutex_unlock(&c->all->lock);
    bool half = c->half.active;
    int socket = half ? http_half_closed_end(&c->half) : c->socket;
    if (http_linger_is_needed(socket, c->whole))
        http_linger(c->all->lingering, socket);
    if (half) {
        close(socket);
        atomic_fetch_sub(&c->all->half_closed, 1);
    }
    http_tls_end(c->certificate);
    free(c);
}

void http_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *context = opened(cls, connection);
    else if (*context)
        closed(*context);
}

struct http_connection *http_connection_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return false;
    return true;
}

/* The length of the scheme that the target begins with. "https://" needs TLS (RFC 9110 §7.4). 0: none. */
static size_t scheme_length(const char *target, bool tls) {
    static const char plain[] = "http://", secure[] = "https://";
    if (strncasecmp(target, plain, sizeof plain - 1) == 0)
        return sizeof plain - 1;
    return tls && strncasecmp(target, secure, sizeof secure - 1) == 0 ? sizeof secure - 1 : 0;
}

/* The length of the scheme of a target that begins with a scheme and host. An escape in the host would move its end when
 * it is decoded, so such a host does not count. */
static size_t absolute_scheme(const char *target, bool tls) {
    size_t len = scheme_length(target, tls);
    const char *host = target + len;
    return host[strcspn(host, "/?%")] != '%' ? len : 0;
}

void *http_connection_target(void *cls, const char *target, struct MHD_Connection *connection) {
    (void)cls;
    struct http_connection *c = http_connection_of(connection);
    if (c) {
        http_connection_limit(c);
        c->whole = false;
        c->target = target;
        c->target_end = target + strlen(target);
        c->printable = is_printable(target);
        c->scheme = absolute_scheme(target, c->all->tls);
    }
    return NULL;
}

bool http_connection_line_is_clear(const struct http_connection *c, const char *method, const char *version) {
    bool whole = method + strlen(method) + 1 == c->target && c->target_end + 1 == version;
    return c->printable && (whole || MHD_VERSION >= 0x00097701);
}

const char *http_connection_path(const struct http_connection *c, const char *path) {
    if (!c->scheme)
        return path;
    const char *slash = strchr(path + c->scheme, '/');
    return slash ? slash : "/";
}

void http_connection_whole(struct http_connection *c) {
    c->whole = true;
}

void http_connection_limit(struct http_connection *c) {
    atomic_store_explicit(&c->deadline_ms, clock_mono_ms() + c->all->limit_ms, memory_order_relaxed);
}

void http_connection_unlimit(struct http_connection *c) {
    atomic_store_explicit(&c->deadline_ms, INT64_MAX, memory_order_relaxed);
}

void http_connection_sending(struct http_connection *c, bool sending) {
    atomic_store_explicit(&c->sending_ms, sending ? clock_mono_ms() : 0, memory_order_relaxed);
}

/* When the client last received something of its answer; 0 when it is sent none. */
static int64_t receives_since(struct http_connection *c, int64_t now_ms) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int64_t since_ms = atomic_load_explicit(&c->sending_ms, memory_order_relaxed);
    if (since_ms == 0 || getsockopt(c->socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return since_ms;
    if (info.tcpi_bytes_acked != c->acked) {
        c->acked = info.tcpi_bytes_acked;
        c->acked_ms = now_ms;
    }
    return c->acked_ms > since_ms ? c->acked_ms : since_ms;
}

bool http_connections_receive(struct http_connections *all, int64_t patience_ms) {
    int64_t now = clock_mono_ms();
    bool any = false;
    pthread_mutex_lock(&all->lock);
    for (struct http_connection *c = all->first; c; c = c->next)
        any |= receives_since(c, now) > now - patience_ms;
    pthread_mutex_unlock(&all->lock);
    return any;
}

bool http_connection_is_half_closed(const struct http_connection *c) {
    return c->half.active;
}

void http_suspend(struct http_exchange *x) {
    x->stage = HTTP_WAITING;
    http_connection_unlimit(http_connection_of(x->connection));
    MHD_suspend_connection(x->connection);
}

void http_resume(struct http_exchange *x) {
    struct MHD_Connection *connection = x->connection;
    struct http_connection *c = http_connection_of(connection);
    if (atomic_fetch_add(&c->all->half_closed, 1) < HTTP_HALF_CLOSED_MAX &&
        !x->stream) /* which has no end: libmicrohttpd closes it, and its place is free */
        http_half_closed_begin(&c->half, c->socket);
    if (!c->half.active)
        atomic_fetch_sub(&c->all->half_closed, 1);
    x->stage = HTTP_ANSWERED;
    MHD_resume_connection(connection);
}
