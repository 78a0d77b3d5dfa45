/* The line of a request in the log. */
#include "private.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <string.h>

/* Where a created resource is. NULL when none was. */
static const char *created_at(const struct http_reply *reply) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (reply->status == 201 && strcmp(reply->headers[i].name, "Location") == 0)
            return reply->headers[i].value;
    return NULL;
}

static enum log_level level_of(struct http_exchange *x, int64_t took_ms) {
    const struct http_options *o = &x->server->options;
    unsigned status = x->request.reply.status;
    bool failed = status >= 500;
    bool slow = o->slow_ms > 0 && took_ms >= o->slow_ms;
    bool told = status == 503; /* an outage has a line of its own, and overload is counted */
    if ((failed || slow) && !told &&
        log_limit_allows(&x->server->access_lines, "failed and slow requests", clock_mono_ms()))
        return LOG_WARN;
    return o->access_log ? LOG_INFO : LOG_DEBUG;
}

void http_log_answer(struct http_exchange *x) {
    const struct http_request *request = &x->request;
    int64_t took_ms = x->whole_ms ? clock_mono_ms() - x->whole_ms : 0;
    enum log_level level = level_of(x, took_ms);
    if (!log_enabled(level))
        return;
    char from[ADDRESS_TEXT_SIZE];
    struct address address = http_client_address(x);
    address_format(&address, from);
    const char *client = request->claims.client_id, *created = created_at(&request->reply);
    /* The route, not the path: a path may contain anything, even a token by mistake. */
    log_write(level, request->request_id, "%s %s %u in %lld ms from %s%s%s%s%s", x->method,
              request->route ? request->route->pattern : "(no route)", request->reply.status,
              (long long)took_ms, from, *client ? ", client " : "", client, created ? ", created " : "",
              created ? created : "");
}
