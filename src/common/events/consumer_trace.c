/* The spans of received messages. */
#include "consumer_trace.h"

#include <stdio.h>
#include <string.h>

/* "process orders-queue.fifo" and what all such spans say. count: of messages; 0: left out. */
static void end_messaging(struct span *span, const char *queue, const char *operation, int64_t count,
                          const char *message_id, struct span_details details) {
    char name[16 + QUEUE_NAME_SIZE];
    snprintf(name, sizeof name, "%s %s", operation, queue);
    struct span_attribute attributes[6] = {
        SPAN_TEXT("messaging.system", "aws_sqs"),
        SPAN_TEXT("messaging.operation.name", operation),
        SPAN_TEXT("messaging.operation.type", operation),
        SPAN_TEXT("messaging.destination.name", queue),
    };
    size_t used = 4;
    if (count)
        attributes[used++] = SPAN_NUMBER("messaging.batch.message_count", count);
    if (message_id)
        attributes[used++] = SPAN_TEXT("messaging.message.id", message_id);
    details.name = name;
    details.attributes = attributes;
    details.attribute_count = used;
    span_end(span, &details);
}

/* The receive began before anybody knew which messages it would get. So it is a trace of its own, with links. */
static void note_receive(struct consumer_trace *t, int64_t asked_ns, const struct consumer_message messages[],
                         size_t n) {
    const char *links[CONSUMER_BATCH];
    struct span receive;
    for (size_t i = 0; i < n; i++)
        links[i] = messages[i].message->traceparent;
    span_enter(&receive, SPAN_CLIENT, NULL);
    if (receive.recorded)
        memcpy(t->receive, receive.traceparent, TRACEPARENT_SIZE);
    receive.start_ns = asked_ns;
    end_messaging(&receive, t->queue, "receive", (int64_t)n, NULL,
                  (struct span_details){.links = links, .link_count = n});
}

/* Returns whether the span is recorded. */
static bool begin_process(struct span *span, struct consumer_message *m) {
    const char *traceparent = m->message->traceparent;
    char state[TRACESTATE_SIZE] = "";
    bool valid = trace_valid(traceparent);
    *span = (struct span){0};
    if (valid && m->message->tracestate)
        trace_state_clean(m->message->tracestate, state);
    if (tracing_is_on())
        span_enter(span, SPAN_CONSUMER, traceparent);
    if (tracing_is_on() || valid)
        trace_join(tracing_is_on() ? span->traceparent : traceparent, state, m->trace);
    span->state = trace_state(m->trace);
    return span->recorded;
}

void consumer_trace_begin(struct consumer_trace *t, const char *queue, int64_t asked_ns,
                          struct consumer_message messages[], size_t n) {
    bool any = false;
    t->queue = queue;
    t->receive[0] = '\0';
    for (size_t i = 0; i < n; i++)
        any |= begin_process(&t->spans[i], &messages[i]);
    if (any)
        note_receive(t, asked_ns, messages, n);
}

void consumer_trace_end(struct consumer_trace *t, const struct consumer_message messages[], size_t n) {
    const char *links[] = {t->receive};
    for (size_t i = 0; i < n; i++) {
        const char *error = messages[i].buried ? "dead_letter" : "retry";
        if (messages[i].outcome == CONSUMER_DONE && !messages[i].buried)
            error = NULL;
        if (t->spans[i].recorded)
            end_messaging(&t->spans[i], t->queue, "process", 0, messages[i].message->id,
                          (struct span_details){.links = links, .link_count = 1, .error = error});
    }
}

void consumer_trace_apply(struct span *span, const struct consumer_message messages[], size_t n) {
    *span = (struct span){0};
    for (size_t i = 0; i < n && !span->recorded; i++)
        span_begin(span, SPAN_CLIENT, messages[i].trace);
    tracing_set_current(span->recorded ? span->traceparent : NULL);
}

void consumer_trace_applied(struct span *span, const char *action, const struct consumer_message messages[],
                            size_t n, enum db_status status) {
    const char *links[CONSUMER_BATCH];
    size_t count = 0;
    tracing_set_current(NULL);
    if (!span->recorded)
        return;
    for (size_t i = 0; i < n; i++)
        if (strncmp(messages[i].trace + 36, span->parent_id, 16) != 0)
            links[count++] = messages[i].trace;
    struct span_attribute attributes[] = {
        SPAN_TEXT("db.system.name", "postgresql"),
        SPAN_NUMBER("db.operation.batch.size", (int64_t)n),
    };
    span_end(span, &(struct span_details){.name = action ? action : "apply messages",
                                          .attributes = attributes,
                                          .attribute_count = n > 1 ? 2 : 1, /* one is no batch */
                                          .links = links,
                                          .link_count = count,
                                          .error = outcome_error(db_outcome(status))});
}
