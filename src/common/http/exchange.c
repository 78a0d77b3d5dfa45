/* One request's way through libmicrohttpd: its head, its body, the wait for a worker, and the reply. */
#include "measure.h"
#include "private.h"
#include "stream.h"
#include "trace.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* A refused body of up to this size is read to its end, and the connection stays open. */
enum { SMALL_BODY = 65536 };

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

static unsigned long long announced_length(struct http_exchange *x) {
    const char *length = http_header(&x->request, "Content-Length");
    return length ? strtoull(length, NULL, 10) : 0;
}

static void reply_too_large(struct http_exchange *x) {
    http_reply_problem(&x->request, PROBLEM_PAYLOAD_TOO_LARGE, "The body may have at most %zu bytes",
                       x->body_limit);
}

static bool is_answered(const struct http_exchange *x) {
    return x->request.reply.status || x->request.arena.failed;
}

/* Whether the connection closes after this answer. libmicrohttpd before 1.0 takes an LF alone, or a CR alone, for
 * the end of a line between chunks. So the end of a chunked body is ambiguous, and what follows it must not be
 * read. */
static bool is_last(struct http_exchange *x) {
    return atomic_load_explicit(&x->server->draining, memory_order_relaxed) ||
           http_connection_is_half_closed(http_connection_of(x->connection)) ||
           (MHD_VERSION < 0x00097701 && http_header(&x->request, "Transfer-Encoding"));
}

/* Counts it there from now on. It is never uncounted in between. */
static void count_at(struct http_exchange *x, atomic_size_t *counter) {
    if (counter)
        atomic_fetch_add(counter, 1);
    if (x->counted)
        atomic_fetch_sub(x->counted, 1);
    x->counted = counter;
}

static struct MHD_Response *make_response(struct http_exchange *x) {
    struct http_reply *reply = &x->request.reply;
    if (x->stream && reply->status == 200) /* else memory ran out for its headers */
        return http_stream_response(x);
    size_t len = reply->body.len;
    char *bytes = buf_take(&reply->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        bytes ? len : 0, bytes, bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response)
        free(bytes);
    return response;
}

static bool reply_has(const struct http_reply *reply, const char *name) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return true;
    return false;
}

static void add_headers(struct MHD_Response *response, struct http_exchange *x) {
    const struct http_reply *reply = &x->request.reply;
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (!reply_has(reply, "Cache-Control"))
        MHD_add_response_header(response, "Cache-Control", "no-store");
    if (reply->content_type)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    MHD_add_response_header(response, "X-Request-Id", x->request.request_id);
    for (size_t i = 0; i < sizeof common_headers / sizeof *common_headers; i++)
        if (!reply_has(reply, common_headers[i].name))
            MHD_add_response_header(response, common_headers[i].name, common_headers[i].value);
    http_cors_fields(response, x);
    if (x->server->tls)
        MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    if (is_last(x))
        MHD_add_response_header(response, "Connection", "close");
}

static enum MHD_Result send_reply(struct http_exchange *x) {
    struct http_request *request = &x->request;
    http_settle(request);
    http_limit_fields(request);
    http_reply_shortage(request);
    http_measure_reply(x);
    struct MHD_Response *response = make_response(x);
    if (!response)
        return MHD_NO;
    add_headers(response, x);
    http_connection_limit(http_connection_of(x->connection));
    http_connection_sending(http_connection_of(x->connection), true);
    count_at(x, NULL);
    enum MHD_Result result = MHD_queue_response(x->connection, request->reply.status, response);
    MHD_destroy_response(response);
    http_log_answer(x);
    http_trace_end(x);
    return result;
}

/* Whether the answer is given before the body. libmicrohttpd then closes the connection. A client that asks before it
 * sends its body must not be told to go on. */
static bool answers_now(struct http_exchange *x, unsigned long long length) {
    return is_answered(x) && (length > SMALL_BODY || http_header(&x->request, "Expect"));
}

/* The headers have arrived. What can be refused is refused now, so that the body of nobody is kept. */
static enum MHD_Result exchange_begin(struct http_server *server, struct MHD_Connection *connection,
                                      const char *path, const char *method, const char *version,
                                      void **context) {
    struct http_exchange *x = http_connection_of(connection) ? calloc(1, sizeof *x) : NULL;
    if (!x)
        return MHD_NO;
    *context = x;
    x->server = server;
    x->connection = connection;
    x->method = method;
    x->path = http_connection_path(http_connection_of(connection), path);
    x->request.app = server->options.app;
    count_at(x, &server->receiving);
    http_measure_begin(x);
    adopt_request_id(&x->request);
    http_trace_begin(x, version);
    tracing_set_current(x->request.traceparent);
    if (!http_framing_is_clear(x, version))
        return send_reply(x);
    unsigned long long length = announced_length(x);
    http_find_route(x);
    http_admit(x);
    if (!is_answered(x) && length > x->body_limit)
        reply_too_large(x);
    return answers_now(x, length) ? send_reply(x) : MHD_YES;
}

/* A piece of the body. libmicrohttpd cannot answer in the middle of a body. So what nobody wants is read to its end, or
 * cut when it is very long. A route without a limit of its own wants none. */
static enum MHD_Result exchange_receive(struct http_exchange *x, const char *data, size_t *size) {
    x->received += *size;
    if (x->received > HTTP_DISCARD_LIMIT)
        return MHD_NO;
    if (!is_answered(x) && x->received > x->body_limit)
        reply_too_large(x);
    bool wanted = !is_answered(x) && x->request.route->body_limit;
    if (wanted)
        http_hold_body(x, *size);
    if (wanted && !is_answered(x))
        buf_append(&x->request.body, data, *size);
    else
        buf_free(&x->request.body);
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result exchange_process(struct http_exchange *x) {
    http_connection_whole(http_connection_of(x->connection));
    count_at(x, &x->server->in_flight);
    x->whole_ms = clock_mono_ms();
    x->request.arena.failed |= x->request.body.failed;
    return is_answered(x) || !http_trailers_fit(x) || !http_dispatch(x) ? send_reply(x) : MHD_YES;
}

static enum MHD_Result exchange_go_on(struct http_exchange *x, const char *data, size_t *size) {
    tracing_set_current(x->request.traceparent);
    if (x->stage == HTTP_ANSWERED)
        return send_reply(x);
    if (*size)
        return exchange_receive(x, data, size);
    return exchange_process(x);
}

enum MHD_Result http_exchange_step(void *server, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data, size_t *size,
                                   void **context) {
    struct http_exchange *x = *context;
    enum MHD_Result result = x ? exchange_go_on(x, data, size)
                               : exchange_begin(server, connection, path, method, version, context);
    tracing_set_current(NULL);
    return result;
}

void http_exchange_end(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code) {
    (void)cls, (void)code;
    struct http_exchange *x = *context;
    if (!x)
        return;
    http_connection_limit(http_connection_of(connection)); /* for the next request */
    http_connection_sending(http_connection_of(connection), false);
    http_measure_end(x);
    http_trace_end(x);
    count_at(x, NULL);
    http_settle(&x->request);
    http_stream_end(x);
    buf_free(&x->request.body);
    buf_free(&x->request.reply.body);
    arena_free(&x->request.arena);
    http_release(x);
    free(x);
    *context = NULL;
}
