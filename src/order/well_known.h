/* What order-svc tells of itself as an authorization server: GET /.well-known/... */
#pragma once

struct http_request;

/* Both answer in prepare. The public keys (RFC 7517), and the metadata (RFC 8414): that needs a JWT_ISSUER
 * that is a URL, by which the endpoints are reached; without one it is not found. */
void well_known_jwks_prepare(struct http_request *request);
void well_known_metadata_prepare(struct http_request *request);
