/* The guard of routes with a scope. */
#include "common/auth/auth.h"

#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/http/server.h"

#include <string.h>
#include <strings.h>

#define CHALLENGE "Bearer realm=\"order-processing\""

static const char scheme[] = "Bearer ";

bool auth_is_bearer(struct http_request *request) {
    const char *header = http_header(request, "Authorization");
    return header && strncasecmp(header, scheme, sizeof scheme - 1) == 0;
}

/* The token that the caller sent as "Bearer <token>". NULL when it sent none, several, or something else. */
static const char *bearer_token(struct http_request *request) {
    if (http_header_count(request, "Authorization") != 1 || !auth_is_bearer(request))
        return NULL;
    const char *token = http_header(request, "Authorization") + sizeof scheme - 1;
    token += strspn(token, " ");
    return *token && !strpbrk(token, " \t,") ? token : NULL;
}

static bool auth_refuse(struct http_request *request, enum token_status status) {
    switch (status) {
    case TOKEN_EXPIRED:
        http_reply_problem(request, PROBLEM_TOKEN_EXPIRED, "Access token expired");
        http_reply_header(request, "WWW-Authenticate",
                          CHALLENGE
                          ", error=\"invalid_token\", error_description=\"The access token expired\"");
        break;
    case TOKEN_REVOKED:
        http_reply_problem(request, PROBLEM_INVALID_TOKEN, "Access token revoked");
        http_reply_header(request, "WWW-Authenticate",
                          CHALLENGE
                          ", error=\"invalid_token\", error_description=\"The access token was revoked\"");
        break;
    case TOKEN_UNDECIDED:
        http_reply_problem(request, PROBLEM_UNAVAILABLE, "Token revocations have not been loaded yet");
        break;
    case TOKEN_INVALID:
        http_reply_problem(request, PROBLEM_INVALID_TOKEN, "Invalid access token");
        http_reply_header(request, "WWW-Authenticate", CHALLENGE ", error=\"invalid_token\"");
        break;
    case TOKEN_NO_MEMORY:
        request->arena.failed = true;
        break;
    case TOKEN_OK:
        break;
    }
    return false;
}

enum token_status auth_token(const struct auth *auth, const char *token, struct token_claims *claims) {
    struct token_claims found;
    enum token_status status = token_verify(auth->keys, token, clock_epoch_ms() / 1000, &found);
    if (status == TOKEN_OK)
        status = revocations_check(auth->revocations, &found);
    if (status == TOKEN_OK)
        *claims = found;
    return status;
}

bool auth_caller(const struct auth *auth, struct http_request *request) {
    const char *token = bearer_token(request);
    if (!token) {
        http_reply_problem(request, PROBLEM_UNAUTHORIZED, "Missing or invalid Authorization header");
        http_reply_header(request, "WWW-Authenticate", CHALLENGE);
        return false;
    }
    enum token_status status = auth_token(auth, token, &request->claims);
    return status == TOKEN_OK || auth_refuse(request, status);
}

bool auth_guard(void *cls, struct http_request *request) {
    const struct auth *auth = cls;
    if (auth->anonymous && http_header_count(request, "Authorization") == 0)
        return true;
    if (!auth_caller(auth, request))
        return false;
    const char *scope = request->route->scope;
    if (token_has_scope(request->claims.scope, scope))
        return true;
    http_reply_problem(request, PROBLEM_FORBIDDEN, "The access token lacks the scope %s", scope);
    http_reply_header(request, "WWW-Authenticate", CHALLENGE ", error=\"insufficient_scope\", scope=\"%s\"",
                      scope);
    return false;
}
