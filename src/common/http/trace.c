/* The span of a request, from its head to its answer. */
#include "trace.h"

#include "measure.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum MHD_Result collect_state(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    (void)kind;
    struct buf *joined = cls;
    if (value && strcasecmp(key, "tracestate") == 0) {
        buf_str(joined, joined->len ? "," : "");
        buf_str(joined, value);
    }
    return MHD_YES;
}

/* Reads the tracestate of the caller, which may be spread over several headers. */
static void adopt_state(struct http_exchange *x) {
    struct http_request *request = &x->request;
    char state[TRACESTATE_SIZE], trace[TRACE_SIZE];
    struct buf joined = {0};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, collect_state, &joined);
    trace_state_clean(joined.len && !joined.failed ? joined.data : "", state);
    buf_free(&joined);
    if (!*state)
        return;
    trace_join(request->traceparent, state, trace);
    request->trace = arena_strdup(&request->arena, trace);
    if (request->trace)
        x->span.state = trace_state(request->trace);
}

void http_trace_begin(struct http_exchange *x, const char *version) {
    struct http_request *request = &x->request;
    const char *traceparent = http_header(request, "traceparent");
    if (traceparent && (!trace_valid(traceparent) || http_header_count(request, "traceparent") > 1))
        traceparent = NULL;
    span_enter(&x->span, SPAN_SERVER, traceparent);
    memcpy(request->traceparent, x->span.traceparent, TRACEPARENT_SIZE);
    if (traceparent)
        adopt_state(x);
    if (!x->span.recorded)
        return;
    x->span_method = http_known_method(x->method);
    x->protocol = strcmp(version, "HTTP/1.0") == 0 ? "1.0" : "1.1";
}

/* A probe that nobody traces. Its spans would be most of all. */
static bool is_noise(const struct http_exchange *x) {
    const struct http_route *route = x->request.route;
    return !*x->span.parent_id && route && !route->scope && !route->body_limit && !route->run;
}

void http_trace_end(struct http_exchange *x) {
    if (!x->span.recorded)
        return;
    const struct http_route *route = x->request.route;
    const char *links[] = {x->batch};
    char name[160], code[16];
    unsigned status = x->request.reply.status;
    bool other = *x->span_method == '_';
    snprintf(code, sizeof code, "%u", status);
    snprintf(name, sizeof name, "%s%s%s", other ? "HTTP" : x->span_method, route ? " " : "",
             route ? route->pattern : "");
    struct span_attribute attributes[6] = {
        SPAN_TEXT("http.request.method", x->span_method),
        SPAN_TEXT("url.scheme", x->server->tls ? "https" : "http"),
        SPAN_TEXT("network.protocol.version", x->protocol),
    };
    size_t count = 3;
    if (route)
        attributes[count++] = SPAN_TEXT("http.route", route->pattern);
    if (status)
        attributes[count++] = SPAN_NUMBER("http.response.status_code", status);
    x->span.recorded = !is_noise(x);
    span_end(&x->span, &(struct span_details){.name = name,
                                              .attributes = attributes,
                                              .attribute_count = count,
                                              .links = links,
                                              .link_count = 1,
                                              .error = !status         ? "disconnected"
                                                       : status >= 500 ? code
                                                                       : NULL});
}
