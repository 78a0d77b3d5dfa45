/* W3C Trace Context: the traceparent of a request, the caller's or a new one, and the tracestate that comes with it. Both
 * are passed on to the request's events. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

#define TRACEPARENT_SIZE sizeof "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
#define TRACE_ID_AT 3       /* where the trace id begins in a traceparent */
#define TRACE_ID_LENGTH 32  /* its hexadecimal digits */
#define TRACESTATE_SIZE 513 /* 512 bytes are kept */

/* A trace is one text: a traceparent and, if there is one, a blank and the tracestate. They are kept together, because a
 * tracestate means nothing without its traceparent. */
#define TRACE_SIZE (TRACEPARENT_SIZE + TRACESTATE_SIZE)

/* Whether text is a traceparent that may be passed on: version not ff, lower-case hex, no zero ids. */
bool trace_valid(const char *text);

/* Copies a valid incoming traceparent, cut to the four fields of version 00. If incoming is invalid or NULL, starts
 * a new trace. */
void trace_adopt(const char *incoming, char out[static TRACEPARENT_SIZE]);

/* Whether the caller records this trace. */
bool trace_is_sampled(const char *traceparent);

/* Whether a trace is well-formed and the caller records it. NULL is neither. */
bool trace_is_recorded(const char *trace);

/* The tracestate of a trace; "" when it has none. Borrowed from trace. */
const char *trace_state(const char *trace);

/* Makes a trace of its two halves. Only the first four fields of traceparent are taken. state may be "". */
void trace_join(const char *traceparent, const char *state, char out[static TRACE_SIZE]);

/* Copies the entries of a tracestate, without blanks around them. When they do not fit, those of more than 128 bytes are
 * left out, and then the last ones. An invalid tracestate, or one of more than 32 entries, becomes "". */
void trace_state_clean(const char *text, char out[static TRACESTATE_SIZE]);

/* The trace that this thread works for. Log lines carry its ids. NULL, or a trace that is not recorded: none. */
void trace_set_current(const char *trace);
/* The traceparent of the current trace; NULL when there is none. */
const char *trace_current(void);
