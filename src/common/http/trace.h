/* The spans of a request: its own, its wait in a lane, and the batch that it becomes part of. */
#pragma once

#include "private.h"

/* Begins the span of a request, and sets its traceparent and tracestate. version is that of its request line. */
void http_trace_begin(struct http_exchange *x, const char *version);
/* Ends it: the request was answered, or its client is gone. Later calls do nothing. */
void http_trace_end(struct http_exchange *x);
/* The request begins to wait for a worker; the worker has taken it. */
void http_trace_queued(struct http_exchange *x);
void http_trace_taken(struct http_exchange *x);
/* The span of a batch. It is in the trace of the first request that is recorded, and linked with the others. */
void http_trace_batch(struct span *span, struct http_request *const requests[], size_t n);
void http_trace_batch_end(struct span *span, const struct http_route *route,
                          struct http_request *const requests[], size_t n, enum outcome outcome);
