/* The guard of routes that need a scope: a Bearer token in the Authorization header (RFC 6750), verified, not revoked,
 * with the scope of the route. */
#pragma once

#include "common/base/attributes.h"
#include "common/http/request.h"
#include "common/token/token.h"

#include <stdbool.h>

struct revocations;

struct auth {
    struct token_keys *keys;
    struct revocations *revocations;
    bool anonymous; /* requests without any Authorization header pass the guard, with empty claims */
};

/* Whether the token is good now: verified, and not revoked. *claims is set only on TOKEN_OK. */
enum token_status auth_token(const struct auth *auth, const char *token,
                             struct token_claims *claims) MUST_CHECK;

/* Whether the Authorization header, if there is one, is of the scheme Bearer. */
bool auth_is_bearer(struct http_request *request);

/* Puts the claims of the caller's token into request->claims, or answers 401 with WWW-Authenticate and returns
 * false. */
bool auth_caller(const struct auth *auth, struct http_request *request) MUST_CHECK;

/* The guard of http_options: auth_caller, and the token must have the scope of the route, else 403. auth is a struct
 * auth. */
bool auth_guard(void *auth, struct http_request *request) MUST_CHECK;
