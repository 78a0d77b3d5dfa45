/* The OAuth endpoints: POST /auth/token (RFC 6749 §4.4) and POST /auth/introspect (RFC 7662). */
#pragma once

struct http_request;

/* Both answer in prepare. */
void tokens_issue(struct http_request *request);
void tokens_introspect(struct http_request *request);
