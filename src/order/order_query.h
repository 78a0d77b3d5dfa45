/* Query arguments that several routes of orders have. On an HTTP thread. Faults are added to faults. */
#pragma once

#include "common/http/request.h"

#include <stddef.h>

/* The client whose orders the request may see. NULL: those of all clients. */
const char *order_visible_client(const struct http_request *request);

/* Finds an argument that is not in known (NULL-terminated), was sent twice, or has no value. */
void order_query_known(struct http_request *request, const char *const known[], struct http_faults *faults);

/* A text such as a customer's id, in the request's arena. NULL when it was not sent. */
const char *order_query_text(struct http_request *request, const char *name, struct http_faults *faults);

/* A time (RFC 3339), in milliseconds; with up rounded up to the next one. NULL when it was not sent. */
const int64_t *order_query_time(struct http_request *request, const char *name, bool up,
                                struct http_faults *faults);

/* The size of a page: limit, 1 to 100, or 20. */
size_t order_query_limit(struct http_request *request, struct http_faults *faults);

/* A number. fallback when it was not sent. */
size_t order_query_number(struct http_request *request, const char *name, size_t least, size_t most,
                          size_t fallback, struct http_faults *faults);
