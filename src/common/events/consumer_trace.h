/* The spans of received messages: of the receive, of each message's processing, and of the transaction that they share. */
#pragma once

#include "common/events/consumer.h"

struct consumer_trace { /* of one batch */
    const char *queue;
    struct span spans[CONSUMER_BATCH];
    char receive[TRACEPARENT_SIZE]; /* ""; or the span of the receive, which is a trace of its own */
};

/* Begins the spans of n messages that were asked for at asked_ns. Sets their trace. */
void consumer_trace_begin(struct consumer_trace *t, const char *queue, int64_t asked_ns,
                          struct consumer_message messages[], size_t n);
/* Ends them. The outcome of each message is known. */
void consumer_trace_end(struct consumer_trace *t, const struct consumer_message messages[], size_t n);

/* The span of a transaction for n messages. It is in the trace of the first that is recorded, and linked with the rest. */
void consumer_trace_apply(struct span *span, const struct consumer_message messages[], size_t n);
void consumer_trace_applied(struct span *span, const char *action, const struct consumer_message messages[],
                            size_t n, enum db_status status);
