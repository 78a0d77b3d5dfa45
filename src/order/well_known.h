/* GET /.well-known/...: the metadata of order-svc as an authorization server. */
#pragma once

struct http_request;

/* The public keys (RFC 7517), and the metadata (RFC 8414). Both answer in prepare. The metadata needs a JWT_ISSUER
 * that is the URL of the endpoints. Otherwise the answer is 404. */
void well_known_jwks_prepare(struct http_request *request);
void well_known_metadata_prepare(struct http_request *request);
