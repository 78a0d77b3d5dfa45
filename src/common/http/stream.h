/* What the server does with streams and kept requests. */
#pragma once

#include "common/http/stream.h"
#include "private.h"

/* The response of a stream. NULL when out of memory. */
struct MHD_Response *http_stream_response(struct http_exchange *x);
/* The exchange ends, and with it its stream, if it has one. */
void http_stream_end(struct http_exchange *x);

/* Whether the request is kept: its answer is not run's affair. */
bool http_is_kept(const struct http_exchange *x);
/* A worker is done with the request. Whether it must be resumed now. */
bool http_let_go(struct http_exchange *x) MUST_CHECK;
