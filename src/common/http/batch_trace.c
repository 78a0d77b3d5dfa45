/* The spans of requests on their way through a lane and a batch. */
#include "trace.h"

#include <stdio.h>
#include <string.h>

void http_trace_queued(struct http_exchange *x) {
    if (x->span.recorded)
        x->queued_ns = span_now();
}

void http_trace_taken(struct http_exchange *x) {
    struct span wait;
    if (!x->span.recorded)
        return;
    span_begin(&wait, SPAN_INTERNAL, http_trace(&x->request));
    wait.start_ns = x->queued_ns;
    span_end(&wait, &(struct span_details){.name = "wait for a worker"});
}

void http_trace_batch(struct span *span, struct http_request *const requests[], size_t n) {
    *span = (struct span){0};
    for (size_t i = 0; i < n; i++) {
        struct http_exchange *x = http_exchange_of(requests[i]);
        if (!x->span.recorded)
            continue;
        if (span->recorded)
            memcpy(x->batch, span->traceparent, sizeof x->batch);
        else
            span_begin(span, SPAN_CLIENT, http_trace(requests[i]));
    }
    tracing_set_current(span->recorded ? span->traceparent : NULL);
}

void http_trace_batch_end(struct span *span, const struct http_route *route,
                          struct http_request *const requests[], size_t n, enum outcome outcome) {
    const char *links[HTTP_BATCH_MAX];
    size_t count = 0;
    char name[160];
    tracing_set_current(NULL);
    if (!span->recorded)
        return;
    for (size_t i = 0; i < n; i++)
        if (memcmp(requests[i]->traceparent + 36, span->parent_id, 16) != 0)
            links[count++] = requests[i]->traceparent;
    snprintf(name, sizeof name, "batch %s %s", route->method, route->pattern);
    struct span_attribute attributes[] = {
        SPAN_TEXT("db.system.name", "postgresql"),
        SPAN_NUMBER("db.operation.batch.size", (int64_t)n),
    };
    span_end(span, &(struct span_details){.name = name,
                                          .attributes = attributes,
                                          .attribute_count = n > 1 ? 2 : 1, /* one is no batch */
                                          .links = links,
                                          .link_count = count,
                                          .error = outcome_error(outcome)});
}
