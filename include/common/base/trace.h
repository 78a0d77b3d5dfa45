/* W3C Trace Context: the traceparent of a request, the caller's or a new one. It is passed on to the request's
 * events. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

#define TRACEPARENT_SIZE sizeof "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

/* Whether text is a traceparent that may be passed on: version not ff, lower-case hex, no zero ids. */
bool trace_valid(const char *text);

/* Copies a valid incoming traceparent, cut to the four fields of version 00. If incoming is invalid or NULL, starts
 * a new trace. */
void trace_adopt(const char *incoming, char out[static TRACEPARENT_SIZE]);

/* Whether the caller records this trace. */
bool trace_is_sampled(const char *traceparent);
