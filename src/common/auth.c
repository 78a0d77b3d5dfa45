/* The guard of routes with a scope. */
#include "common/auth.h"
#include "common/clock.h"

#include <string.h>
#include <strings.h>

#define CHALLENGE "Bearer realm=\"order-processing\""

/* The token of "Bearer <token>", or NULL when the header is anything else. */
static const char *bearer_token(const char *header) {
    static const char scheme[] = "Bearer ";
    if (strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *token = header + sizeof scheme - 1;
    token += strspn(token, " ");
    return *token && !strpbrk(token, " \t,") ? token : NULL;
}

static bool refuse(struct http_request *request, enum token_status status) {
    switch (status) {
    case TOKEN_EXPIRED:
        http_reply_problem(request, "TOKEN_EXPIRED", "Access token expired");
        http_reply_header(request, "WWW-Authenticate",
                          CHALLENGE
                          ", error=\"invalid_token\", error_description=\"The access token expired\"");
        break;
    case TOKEN_REVOKED:
        http_reply_problem(request, "INVALID_TOKEN", "Access token revoked");
        http_reply_header(request, "WWW-Authenticate",
                          CHALLENGE
                          ", error=\"invalid_token\", error_description=\"The access token was revoked\"");
        break;
    case TOKEN_UNDECIDED:
        http_reply_problem(request, "UNAVAILABLE", "The revoked tokens are not known yet");
        break;
    case TOKEN_INVALID:
        http_reply_problem(request, "INVALID_TOKEN", "Invalid access token");
        http_reply_header(request, "WWW-Authenticate", CHALLENGE ", error=\"invalid_token\"");
        break;
    default:
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
        break;
    }
    return false;
}

enum token_status auth_token(struct token_keys *keys, struct revocations *revocations, const char *token,
                             struct token_claims *claims) {
    struct token_claims found;
    enum token_status status = token_verify(keys, token, clock_epoch_ms() / 1000, &found);
    if (status == TOKEN_OK)
        status = revocations_check(revocations, &found.id);
    if (status == TOKEN_OK)
        *claims = found;
    return status;
}

bool auth_bearer(struct http_request *request, struct token_keys *keys, struct revocations *revocations,
                 bool anonymous) {
    unsigned headers = http_header_count(request, "Authorization");
    if (headers == 0 && anonymous)
        return true;

    const char *token = headers == 1 ? bearer_token(http_header(request, "Authorization")) : NULL;
    if (!token) {
        http_reply_problem(request, "UNAUTHORIZED", "Missing or invalid Authorization header");
        http_reply_header(request, "WWW-Authenticate", CHALLENGE);
        return false;
    }
    enum token_status status = auth_token(keys, revocations, token, &request->claims);
    if (status != TOKEN_OK)
        return refuse(request, status);

    const char *scope = request->route->scope;
    if (!token_has_scope(request->claims.scope, scope)) {
        http_reply_problem(request, "FORBIDDEN", "The access token lacks the scope %s", scope);
        http_reply_header(request, "WWW-Authenticate",
                          CHALLENGE ", error=\"insufficient_scope\", scope=\"%s\"", scope);
        return false;
    }
    return true;
}
