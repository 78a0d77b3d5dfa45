/* The spans of events that are sent: one for each, a child of what made the event and the parent of what it leads to. */
#pragma once

#include "common/queue/queue.h"
#include "common/tracing/tracing.h"

struct outbox_trace { /* of one call; nothing of it is set before outbox_trace_begin */
    struct span spans[QUEUE_BATCH];
    char texts[QUEUE_BATCH][TRACE_SIZE];
};

/* Begins the span of entry i. trace is that of its row. Sets traceparent and tracestate of the entry: those of the span,
 * or of the row if that is not recorded. Both live as long as t. */
void outbox_trace_begin(struct outbox_trace *t, size_t i, const char *trace, struct queue_entry *entry);

/* Ends the spans of all n entries of the call, which ended then (span_now). */
void outbox_trace_end(struct outbox_trace *t, const struct queue *queue, const struct queue_entry entries[],
                      size_t n, int64_t end_ns);
