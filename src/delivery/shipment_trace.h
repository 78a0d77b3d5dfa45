/* The spans of shipments that change: each in the trace of its order, and linked with the request that asked for it. */
#pragma once

#include "shipment.h"

/* Begins the span of a change. Returns the trace for its event, which may be in out. */
const char *shipment_trace_begin(struct shipment_change *change, char out[static TRACE_SIZE]);

/* Ends the spans of the changes that have one, before what their shipments borrow goes. */
void shipment_trace_end(struct shipment_change *const changes[], size_t n, bool committed);
