/* The guard of routes with a scope. */
#include "common/auth/auth.h"

#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/base/log.h"
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

bool auth_may_log(struct auth *auth) {
    return log_limit_allows(&auth->refusals, "refused tokens and logins", clock_mono_ms());
}

/* Of a token that is not one of ours nothing is logged: what it says is made up. */
static void log_refused_token(struct auth *auth, const struct http_request *request, enum token_status status,
                              const struct token_claims *claims) {
    char from[ADDRESS_TEXT_SIZE];
    bool revoked = status == TOKEN_REVOKED;
    if ((status != TOKEN_EXPIRED && status != TOKEN_INVALID && !revoked) || !auth_may_log(auth))
        return;
    address_format(&request->address, from);
    log_warn(request->request_id, "refused %s token from %s%s%s",
             revoked ? "a revoked" : (status == TOKEN_EXPIRED ? "an expired" : "an invalid"), from,
             revoked ? ", client " : "", revoked ? claims->client_id : "");
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

/* *found is also set of a token that was revoked. */
static enum token_status auth_examine(const struct auth *auth, const char *token,
                                      struct token_claims *found) {
    enum token_status status = token_verify(auth->keys, token, clock_epoch_ms() / 1000, found);
    return status == TOKEN_OK ? revocations_check(auth->revocations, found) : status;
}

enum token_status auth_token(const struct auth *auth, const char *token, struct token_claims *claims) {
    struct token_claims found;
    enum token_status status = auth_examine(auth, token, &found);
    if (status == TOKEN_OK || status == TOKEN_REVOKED)
        *claims = found;
    return status;
}

bool auth_caller(struct auth *auth, struct http_request *request) {
    const char *token = bearer_token(request);
    if (!token) {
        http_reply_problem(request, PROBLEM_UNAUTHORIZED, "Missing or invalid Authorization header");
        http_reply_header(request, "WWW-Authenticate", CHALLENGE);
        return false;
    }
    struct token_claims found;
    enum token_status status = auth_examine(auth, token, &found);
    if (status == TOKEN_OK) {
        request->claims = found;
        return true;
    }
    log_refused_token(auth, request, status, &found);
    return auth_refuse(request, status);
}

bool auth_guard(void *cls, struct http_request *request) {
    struct auth *auth = cls;
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
