/* What the files of tracing share: settings, encoding, the buffer of spans, and the thread that sends it. */
#pragma once

#include "common/base/buf.h"
#include "common/tracing/tracing.h"

#include <pthread.h>

enum {
    SPAN_MAX_BYTES = 8192,
    TRACING_HEAD_SIZE = 16384,
    PAIR_SIZE = 4097,
};

/* ---- settings.c ---- */

struct pair {
    char key[256], value[PAIR_SIZE]; /* decoded */
};

/* Reads the next pair of a list, and moves *at behind it. False at the end, or when it is invalid: *at is then NULL. */
bool tracing_next_pair(const char **at, struct pair *out) MUST_CHECK;

/* Writes the URL that spans are sent to. False when there is none, or when out of memory. */
bool tracing_url(const struct tracing_options *options, struct buf *out) MUST_CHECK;

/* ---- sampler.c ---- */

struct sampler {
    enum tracing_sampler kind;
    uint64_t threshold; /* traces whose number is below it are recorded */
};

void sampler_init(struct sampler *sampler, enum tracing_sampler kind, double ratio);

/* Whether a trace is recorded. has_parent: traceparent is a caller's, whose flag counts for some samplers. */
bool sampler_decides(const struct sampler *sampler, const char *traceparent, bool has_parent);

/* ---- encode.c: protocol buffers ---- */

struct encoder { /* writes to memory of a fixed size */
    uint8_t *data;
    size_t size, len;
    bool failed; /* it did not fit */
};

void encode_bytes(struct encoder *e, unsigned field, const void *data, size_t len);
/* Opens and closes a message within a message. encode_open returns what encode_close needs. */
size_t encode_open(struct encoder *e, unsigned field);
void encode_close(struct encoder *e, size_t opened);
void encode_attribute(struct encoder *e, unsigned field, const struct span_attribute *attribute);
/* A tag of a message, and its length. */
void encode_head(struct encoder *e, unsigned field, size_t len);

/* Writes a field of type Span, as an element of ScopeSpans. Returns its length; 0 when it does not fit. */
size_t span_encode(const struct span *span, const struct span_details *details, int64_t end_ns,
                   uint8_t out[static SPAN_MAX_BYTES]);

/* Reads rejected_spans of an answer of the collector; 0 when it has none. */
int64_t response_rejected(const uint8_t *data, size_t len);

/* ---- resource.c ---- */

struct tracing_head { /* what is the same in all requests */
    uint8_t resource[TRACING_HEAD_SIZE], scope[256];
    size_t resource_len, scope_len;
};

/* False when it does not fit. */
bool head_init(struct tracing_head *head, const struct tracing_options *options) MUST_CHECK;

/* Writes a request with these encoded spans. */
void request_write(struct buf *out, const struct tracing_head *head, const uint8_t *spans, size_t len);

/* ---- ring.c ---- */

struct span_ring { /* encoded spans, the oldest first. Not thread-safe. */
    uint8_t *data;
    size_t size, head, used; /* bytes */
    size_t count;            /* spans */
};

bool ring_init(struct span_ring *ring, size_t size) MUST_CHECK; /* false when out of memory */
void ring_free(struct span_ring *ring);
/* False when it does not fit. */
bool ring_put(struct span_ring *ring, const void *span, size_t len) MUST_CHECK;
/* Moves the oldest spans to out, as many as fit. Returns their bytes; *count receives how many they are. */
size_t ring_take(struct span_ring *ring, uint8_t *out, size_t size, size_t *count);

/* ---- exporter.c ---- */

struct exporter;

struct exporter *
exporter_start(const struct tracing_options *options); /* NULL when out of memory or threads */
void exporter_put(struct exporter *exporter, const void *span, size_t len);
void exporter_drop(struct exporter *exporter); /* counts a span that is too large */
void exporter_stop(struct exporter *exporter, int64_t wait_ms);

/* ---- transport.c ---- */

struct transport;

enum transport_outcome {
    TRANSPORT_SENT,
    TRANSPORT_REFUSED, /* sending the same again does not help */
    TRANSPORT_LATER,
};

struct transport_answer {
    char words[256];        /* why it was not sent */
    int64_t retry_after_ms; /* as the collector asks; 0: it does not */
    int64_t rejected;       /* spans that it did not want, of those that were sent */
};

struct transport *transport_open(const struct tracing_options *options); /* NULL when out of memory */
void transport_close(struct transport *transport);                       /* NULL is fine */
enum transport_outcome transport_post(struct transport *transport, const struct buf *body,
                                      struct transport_answer *answer);
/* Ends a call at this time (clock_mono_ms) at the latest, also one in progress. Any thread. */
void transport_limit(struct transport *transport, int64_t until_ms);
