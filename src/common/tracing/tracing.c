/* Spans: where they begin, what they belong to, and when they end. */
#include "private.h"

#include "common/base/digest.h"
#include "common/base/random.h"

#include <string.h>
#include <time.h>

/* One for the process, like its log. It does not change while threads make spans. */
static struct {
    struct exporter *exporter; /* NULL: off */
    struct sampler sampler;
} tracing;

bool tracing_start(const struct tracing_options *options) {
    double ratio = 1;
    if (options->disabled || (!*options->endpoint && !*options->traces_endpoint))
        return true;
    if (!tracing_parse_ratio(options->ratio, &ratio))
        ratio = 1;
    sampler_init(&tracing.sampler, options->sampler, ratio);
    tracing.exporter = exporter_start(options);
    return tracing.exporter;
}

void tracing_stop(int64_t wait_ms) {
    if (tracing.exporter)
        exporter_stop(tracing.exporter, wait_ms);
    tracing.exporter = NULL;
}

bool tracing_is_on(void) {
    return tracing.exporter;
}

void tracing_set_current(const char *trace) {
    if (tracing.exporter)
        trace_set_current(trace);
}

int64_t span_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The span gets an id of its own. Until then its traceparent names its parent. */
static void begin_recorded(struct span *span, bool has_parent) {
    uint8_t id[8];
    char digits[17];
    if (has_parent)
        memcpy(span->parent_id, span->traceparent + 36, 16);
    random_bytes(id, sizeof id);
    hex_encode(id, sizeof id, digits);
    memcpy(span->traceparent + 36, digits, 16);
    span->recorded = true;
    span->start_ns = span_now();
}

/* Sets the flag that says whether the trace is recorded, and keeps the others. */
static void set_recorded_flag(char traceparent[static TRACEPARENT_SIZE], bool recorded) {
    char *last = traceparent + TRACEPARENT_SIZE - 2;
    if (trace_is_sampled(traceparent) == recorded)
        return;
    const char *digits = "0123456789abcdef";
    *last = digits[(strchr(digits, *last) - digits) ^ 1];
}

void span_enter(struct span *span, enum span_kind kind, const char *traceparent) {
    *span = (struct span){.kind = kind, .remote = true, .state = ""};
    bool has_parent = tracing.exporter && traceparent && trace_valid(traceparent);
    trace_adopt(traceparent, span->traceparent);
    if (!tracing.exporter)
        return;
    bool recorded = sampler_decides(&tracing.sampler, span->traceparent, has_parent);
    set_recorded_flag(span->traceparent, recorded);
    span->remote = has_parent;
    if (recorded)
        begin_recorded(span, has_parent);
}

void span_begin(struct span *span, enum span_kind kind, const char *trace) {
    *span = (struct span){.kind = kind, .state = ""};
    if (!tracing.exporter || !trace_is_recorded(trace))
        return;
    memcpy(span->traceparent, trace, TRACEPARENT_SIZE - 1);
    span->state = trace_state(trace);
    begin_recorded(span, true);
}

const char *span_trace(const struct span *span, const char *otherwise, char out[static TRACE_SIZE]) {
    if (!span->recorded)
        return otherwise;
    trace_join(span->traceparent, span->state, out);
    return out;
}

void span_end(struct span *span, const struct span_details *details) {
    uint8_t bytes[SPAN_MAX_BYTES];
    if (!span->recorded || !tracing.exporter)
        return;
    span->recorded = false;
    int64_t end_ns = details->end_ns ? details->end_ns : span_now();
    if (end_ns < span->start_ns) /* the clock was set back */
        end_ns = span->start_ns;
    size_t len = span_encode(span, details, end_ns, bytes);
    if (len)
        exporter_put(tracing.exporter, bytes, len);
    else
        exporter_drop(tracing.exporter);
}

void span_root(const char *name, char out[static TRACEPARENT_SIZE]) {
    struct span span;
    span_enter(&span, SPAN_INTERNAL, NULL);
    memcpy(out, span.traceparent, TRACEPARENT_SIZE);
    span_end(&span, &(struct span_details){.name = name});
}
