/* The OAuth endpoints: POST /auth/token (RFC 6749 §4.4), POST /auth/revoke (RFC 7009) and POST
 * /auth/introspect (RFC 7662). */
#pragma once

#include "common/http/server.h"

void tokens_issue_prepare(struct http_request *request);
void tokens_introspect_prepare(struct http_request *request);

void tokens_revoke_prepare(struct http_request *request);
enum outcome tokens_revoke_run(struct http_worker *worker, struct http_request *requests[], size_t n);
