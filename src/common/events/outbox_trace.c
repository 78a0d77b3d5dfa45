/* The spans of events that are sent. */
#include "outbox_trace.h"

#include <stdio.h>
#include <string.h>

void outbox_trace_begin(struct outbox_trace *t, size_t i, const char *trace, struct queue_entry *entry) {
    char *text = t->texts[i];
    span_begin(&t->spans[i], SPAN_PRODUCER, trace);
    if (span_trace(&t->spans[i], trace, text) != text)
        snprintf(text, TRACE_SIZE, "%s", trace);
    entry->traceparent = text;
    entry->tracestate = trace_state(text);
    text[strcspn(text, " ")] = '\0';
}

void outbox_trace_end(struct outbox_trace *t, const struct queue *queue, const struct queue_entry entries[],
                      size_t n, int64_t end_ns) {
    for (size_t i = 0; i < n; i++) {
        if (!t->spans[i].recorded)
            continue;
        const char *error = entries[i].accepted ? NULL : entries[i].refused ? "refused" : "unavailable";
        char name[sizeof "send " + QUEUE_NAME_SIZE];
        snprintf(name, sizeof name, "send %s", queue_name(queue));
        struct span_attribute attributes[] = {
            SPAN_TEXT("messaging.system", "aws_sqs"),
            SPAN_TEXT("messaging.operation.name", "send"),
            SPAN_TEXT("messaging.operation.type", "send"),
            SPAN_TEXT("messaging.destination.name", queue_name(queue)),
            SPAN_NUMBER("messaging.batch.message_count", (int64_t)n),
            SPAN_TEXT("messaging.message.id", entries[i].id),
        };
        size_t count = sizeof attributes / sizeof *attributes - (*entries[i].id == '\0');
        span_end(&t->spans[i], &(struct span_details){.name = name,
                                                      .attributes = attributes,
                                                      .attribute_count = count,
                                                      .error = error,
                                                      .end_ns = end_ns});
    }
}
