/* The guard of routes that need a scope: Bearer token in the Authorization header (RFC 6750), verified, with
 * the scope of the route. keys and revocations are the daemon's. */
#pragma once

#include "common/base/attributes.h"
#include "common/http/http.h"
#include "common/auth/revocations.h"
#include "common/token/token.h"

#include <stdbool.h>

/* Whether the token is good now: verified, and not revoked. *claims is set only on TOKEN_OK. */
enum token_status auth_token(struct token_keys *keys, struct revocations *revocations, const char *token,
                             struct token_claims *claims) MUST_CHECK;

/* Whether the Authorization header, if there is one, is of the scheme Bearer. */
bool auth_is_bearer(struct http_request *request);

/* Puts the claims of the caller's token into request->claims, or answers 401 with WWW-Authenticate and
 * returns false. */
bool auth_caller(struct http_request *request, struct token_keys *keys,
                 struct revocations *revocations) MUST_CHECK;

/* The same, and the token must have the scope of the route, else 403. anonymous: lets requests without any
 * Authorization header pass, with empty claims. */
bool auth_bearer(struct http_request *request, struct token_keys *keys, struct revocations *revocations,
                 bool anonymous) MUST_CHECK;
