/* The guard of routes that need a scope. The Authorization header must carry a Bearer token (RFC 6750) that is
 * valid, is not revoked, and has the scope of the route. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/log_limit.h"
#include "common/http/request.h"
#include "common/token/token.h"

#include <stdbool.h>

struct revocations;

struct auth {
    struct token_keys *keys;
    struct revocations *revocations;
    bool anonymous; /* requests without any Authorization header pass the guard, with empty claims */
    struct log_limit refusals; /* bounds the lines about refused tokens and logins */
};

/* Verifies the token, and checks that it is not revoked. *claims is set only on TOKEN_OK and TOKEN_REVOKED. */
enum token_status auth_token(const struct auth *auth, const char *token,
                             struct token_claims *claims) MUST_CHECK;

/* Whether one more line about a refused token or login may be written. */
bool auth_may_log(struct auth *auth) MUST_CHECK;

/* Whether there is an Authorization header with the scheme Bearer. */
bool auth_is_bearer(struct http_request *request);

/* Verifies the caller's token and puts its claims into request->claims. On failure answers and returns false. The
 * answer is 401 with WWW-Authenticate, or 503 while the revocations have not been loaded. A refused token is logged, but only
 * some of them a second. */
bool auth_caller(struct auth *auth, struct http_request *request) MUST_CHECK;

/* The guard of http_options. Does what auth_caller does, and answers 403 when the token lacks the scope of the
 * route. auth is a struct auth. */
bool auth_guard(void *auth, struct http_request *request) MUST_CHECK;
