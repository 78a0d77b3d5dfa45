/* The header Idempotency-Key. */
#pragma once

#include "common/http/request.h"

/* *key receives the client's key as "k:<key>", without quotes. The header is an RFC 8941 string, but many clients
 * send it without quotes. *key stays NULL when there is none. False when the key was refused (and answered) or out
 * of memory. */
bool idempotency_key_read(struct http_request *request, const char **key) MUST_CHECK;
