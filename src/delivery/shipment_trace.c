/* The spans of shipments that change. */
#include "shipment_trace.h"

const char *shipment_trace_begin(struct shipment_change *change, char out[static TRACE_SIZE]) {
    const char *trace = change->shipment.traceparent;
    span_begin(&change->span, SPAN_INTERNAL, trace);
    return span_trace(&change->span, trace, out);
}

void shipment_trace_end(struct shipment_change *const changes[], size_t n, bool committed) {
    for (size_t i = 0; i < n; i++) {
        struct shipment_change *change = changes[i];
        if (!change->span.recorded)
            continue;
        struct span_attribute attributes[] = {
            SPAN_TEXT("shipment.status.previous", shipment_status_name(change->before)),
            SPAN_TEXT("shipment.status", shipment_status_name(change->shipment.status)),
        };
        span_end(&change->span,
                 &(struct span_details){.name = change->trace ? "change shipment" : "carrier step",
                                        .attributes = attributes,
                                        .attribute_count = sizeof attributes / sizeof *attributes,
                                        .links = &change->trace,
                                        .link_count = 1,
                                        .error = committed ? NULL : "rolled_back"});
    }
}
