/* The guard of routes that need a scope: Bearer token in the Authorization header (RFC 6750), verified, with
 * the scope of the route. */
#pragma once

#include "common/attributes.h"
#include "common/http.h"
#include "common/revocations.h"
#include "common/token.h"

#include <stdbool.h>

/* Whether the token is good now: verified, and not revoked. *claims is set only on TOKEN_OK. */
enum token_status auth_token(struct token_keys *keys, struct revocations *revocations, const char *token,
                             struct token_claims *claims) MUST_CHECK;

/* Puts the claims into request->claims, or answers 401 or 403 with WWW-Authenticate and returns false. keys
 * and revocations: the daemon's; anonymous: let requests without any Authorization header pass, with empty
 * claims. */
bool auth_bearer(struct http_request *request, struct token_keys *keys, struct revocations *revocations,
                 bool anonymous) MUST_CHECK;
