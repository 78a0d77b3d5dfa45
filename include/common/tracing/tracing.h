/* Distributed traces: what the process does for a request, as spans that a collector receives (OTLP over HTTP).
 *
 * A span is begun, kept by its caller, and ended with its details. Ending it encodes it into a bounded buffer, and nothing
 * more. A thread in the background sends the buffer. No caller ever waits for the collector: what does not fit is dropped
 * and counted (orders_spans_total). Without a collector all of this does nothing. Any thread. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/secret.h"
#include "common/base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tracing_sampler { /* in the order of OTEL_TRACES_SAMPLER's choices */
                       SAMPLER_PARENT_RATIO,
                       SAMPLER_PARENT_ON,
                       SAMPLER_PARENT_OFF,
                       SAMPLER_ON,
                       SAMPLER_OFF,
                       SAMPLER_RATIO,
};

struct tracing_options { /* strings are borrowed until tracing_stop */
    bool disabled;
    const char *endpoint;        /* of the collector; /v1/traces is appended; "": none */
    const char *traces_endpoint; /* the whole URL; wins unless it is "" */
    struct secret_source headers,
        traces_headers;   /* key=value,... of this moment; the second wins unless it is "" */
    int64_t timeout_ms;   /* of one export */
    const char *service;  /* name of what runs */
    const char *resource; /* further attributes of it: key=value,... */
    bool named;           /* service was set by hand: it wins over a service.name of resource */
    enum tracing_sampler sampler;
    const char *ratio;          /* of the traces that are recorded: "0.25" */
    int64_t pause_ms, retry_ms; /* between exports, and after a failed one; 0: as in production. For tests. */
};

/* Copies the value of a key of a list as resource is one. False, with out unchanged, when the list has no such key. */
bool tracing_resource_value(const char *list, const char *key, char *out, size_t size) MUST_CHECK;

/* Starts the thread, when there is an endpoint. After metrics_start and queue_global_setup (which sets up libcurl), and
 * before the threads that make spans.
 * False when out of memory or threads. */
bool tracing_start(const struct tracing_options *options) MUST_CHECK;

/* Sends what is left, for at most wait_ms, and ends the thread. What could not be sent is logged as a number. The threads
 * that make spans must be gone. Does nothing when tracing was not started. */
void tracing_stop(int64_t wait_ms);

/* Whether there is a collector. */
bool tracing_is_on(void);

/* Names the trace that this thread works for (NULL: none), so that log lines have its ids. Does nothing when off. */
void tracing_set_current(const char *trace);

enum span_kind { /* as OTLP numbers them */
                 SPAN_INTERNAL = 1,
                 SPAN_SERVER,
                 SPAN_CLIENT,
                 SPAN_PRODUCER,
                 SPAN_CONSUMER,
};

struct span {
    bool recorded; /* false: ending it does nothing */
    bool remote;   /* the parent is in another process */
    enum span_kind kind;
    int64_t start_ns; /* since 1970; may be moved before the end */
    char traceparent
        [TRACEPARENT_SIZE]; /* of this span, for its children; "" when span_begin did not record it */
    char parent_id[17];     /* "": none */
    const char *state;      /* the tracestate; borrowed until the end; "": none */
};

/* Begins a span where a trace enters the process. traceparent is the caller's; NULL or an invalid one begins a new trace.
 * The sampler decides. The traceparent of the span is valid in any case, also without a collector. */
void span_enter(struct span *span, enum span_kind kind, const char *traceparent);

/* Begins a span within a trace (traceparent, or traceparent and tracestate) that has entered. It is recorded if the trace
 * is. NULL: it is not. The tracestate is borrowed. */
void span_begin(struct span *span, enum span_kind kind, const char *trace);

/* The trace for the children of the span: written to out, or otherwise if the span is not recorded. */
const char *span_trace(const struct span *span, const char *otherwise, char out[static TRACE_SIZE]);

struct span_attribute { /* borrowed until span_end returns */
    const char *key;
    const char *text; /* NULL: number counts */
    int64_t number;
};
#define SPAN_TEXT(key, text)                                                                                 \
    (struct span_attribute) {                                                                                \
        key, text, 0                                                                                         \
    }
#define SPAN_NUMBER(key, number)                                                                             \
    (struct span_attribute) {                                                                                \
        key, NULL, number                                                                                    \
    }

#define SPAN_MAX_LINKS 64 /* further links are counted only */

struct span_details { /* borrowed until span_end returns */
    const char *name; /* of few different ones: a route, a queue, and no ids */
    const struct span_attribute *attributes;
    size_t attribute_count;
    const char *const *links; /* traces that belong to it; those that are not recorded are left out */
    size_t link_count;
    const char *error; /* what kind of failure; NULL: none */
    int64_t end_ns;    /* 0: now */
};

/* Ends a span that is recorded. Further calls do nothing. */
void span_end(struct span *span, const struct span_details *details);

/* The wall clock in nanoseconds since 1970, for start_ns and end_ns. */
int64_t span_now(void);

/* Begins and ends a root span: something that no caller asked for. out receives its traceparent, for what follows. */
void span_root(const char *name, char out[static TRACEPARENT_SIZE]);

/* ---- Checking settings ---- */

bool tracing_url_is_valid(const char *url); /* http:// or https://, host, perhaps port and path */

/* Whether text is a list of key=value pairs, separated by commas, with %XX for special characters. */
bool tracing_pairs_are_valid(const char *text);

/* Reads a number from 0 to 1. */
bool tracing_parse_ratio(const char *text, double *ratio) MUST_CHECK;
