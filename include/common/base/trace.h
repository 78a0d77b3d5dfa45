/* W3C Trace Context: the traceparent that a request brought or gets, carried on to its events. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

#define TRACEPARENT_SIZE sizeof "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

/* Whether text is a traceparent we may pass on: version not ff, lower-case hex, no zero ids. */
bool trace_valid(const char *text);

/* Copies incoming (cut to version 00's four fields) when it is valid, else starts a new trace. NULL is not
 * valid. */
void trace_adopt(const char *incoming, char out[static TRACEPARENT_SIZE]);
