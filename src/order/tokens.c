/* Handlers of POST /auth/token, POST /auth/revoke and POST /auth/introspect. */
#include "tokens.h"

#include "app.h"
#include "clients.h"
#include "common/auth/auth.h"
#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/base/json_write.h"
#include "common/base/log.h"
#include "common/base/uuid.h"
#include "common/config/config.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "credentials.h"
#include "guesses.h"
#include "revocation_store.h"

#include <stdlib.h>
#include <string.h>

static void forbid_caching(struct http_request *request) {
    http_reply_header(request, "Cache-Control", "no-store");
    http_reply_header(request, "Pragma", "no-cache");
}

/* Errors of these endpoints have the format of RFC 6749 §5.2. description must not contain quotes or
 * backslashes. */
static void refuse_oauth(struct http_request *request, const char *error, const char *description) {
    bool bad_client = strcmp(error, "invalid_client") == 0;
    struct buf body = {0};
    buf_printf(&body, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error, description);
    http_reply_json(request, bad_client ? 401 : 400, &body);
    forbid_caching(request);
    if (bad_client)
        http_reply_header(request, "WWW-Authenticate", "Basic realm=\"order-service\"");
}

/* Reads the credentials of the Authorization header. False when it has answered, or when out of memory. */
static bool read_basic(struct http_request *request, const char **id, const char **secret) {
    const char *header = http_header(request, "Authorization");
    char *space = arena_alloc(&request->arena, strlen(header) + 1);
    if (!space)
        return false;
    if (basic_credentials(header, space, id, secret))
        return true;
    refuse_oauth(request, "invalid_client", "The Authorization header has no valid Basic credentials");
    return false;
}

/* Finds the caller's credentials, which must be sent in one way only (RFC 6749 §2.3). False as for read_basic. */
static bool find_credentials(struct http_request *request, const struct oauth_params *params, const char **id,
                             const char **secret) {
    *id = params->client_id;
    *secret = params->client_secret;
    unsigned headers = http_header_count(request, "Authorization");
    if (headers > 1 || (headers == 1 && params->client_secret)) {
        refuse_oauth(request, "invalid_request", "Send the client credentials in one way only");
        return false;
    }
    if (headers == 1 && !read_basic(request, id, secret))
        return false;
    if (params->client_id && strcmp(*id, params->client_id) != 0) {
        refuse_oauth(request, "invalid_request",
                     "The client_id differs from the one in the Authorization header");
        return false;
    }
    if (!*id || !*secret) {
        refuse_oauth(request, "invalid_client", "Send the client id and secret");
        return false;
    }
    return true;
}

/* An id that we do not know is not logged: some callers send a secret in its place. */
static void log_failed_login(struct order_app *app, const struct http_request *request, const char *id) {
    char from[ADDRESS_TEXT_SIZE];
    if (!auth_may_log(&app->service.auth))
        return;
    address_format(&request->address, from);
    log_warn(request->request_id, "failed authentication of %s from %s",
             clients_know(app->clients, id) ? id : "an unknown client", from);
}

/* Authenticates the calling client. False as for read_basic. */
static bool authenticate(struct http_request *request, const struct oauth_params *params, const char **id,
                         struct client_grant *grant) {
    struct order_app *app = request->app;
    const char *secret;
    if (!find_credentials(request, params, id, &secret) ||
        !http_within(request, guesses_look(app->guesses, *id, &request->address, clock_mono_ms())))
        return false;
    switch (clients_authenticate(app->clients, *id, secret, grant)) {
    case CLIENT_OK:
        return true;
    case CLIENT_UNREAD:
        http_reply_problem(request, PROBLEM_UNAVAILABLE, "The clients cannot be loaded now");
        return false;
    case CLIENT_REFUSED:
        guesses_failed(app->guesses, *id, &request->address, clock_mono_ms());
        log_failed_login(app, request, *id);
        break;
    }
    refuse_oauth(request, "invalid_client", "The client is unknown or its secret is wrong");
    return false;
}

static void issue(struct http_request *request, const struct oauth_params *params) {
    const struct order_app *app = request->app;
    if (!params->grant_type) {
        refuse_oauth(request, "invalid_request", "The parameter grant_type is missing");
        return;
    }
    if (strcmp(params->grant_type, "client_credentials") != 0) {
        refuse_oauth(request, "unsupported_grant_type", "The grant_type must be client_credentials");
        return;
    }
    const char *client_id;
    struct client_grant grant;
    char scope[TOKEN_SCOPE_SIZE];
    if (!authenticate(request, params, &client_id, &grant))
        return;
    if (!scope_narrow(grant.scope, params->scope ? params->scope : grant.scope, scope)) {
        refuse_oauth(request, "invalid_scope", "The client may not have this scope");
        return;
    }

    struct token_claims claims;
    char *token = token_issue_from(app->service.auth.keys, client_id, scope, clock_epoch_ms() / 1000,
                                   grant.from_ms, &claims);
    struct buf body = {.failed = token == NULL};
    buf_printf(&body, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld,\"scope\":",
               token ? token : "", (long long)token_lifetime_s(app->service.auth.keys));
    json_append_text(&body, scope);
    buf_char(&body, '}');
    free(token);
    http_reply_json(request, 200, &body);
    forbid_caching(request);
}

static void plan_revocation(struct http_request *request) {
    const struct token_claims *claims = &request->claims;
    struct token_revocation *revocation = arena_alloc(&request->arena, sizeof *revocation);
    if (!revocation)
        return;
    *revocation = (struct token_revocation){
        .what = {claims->id, claims->expires_at, claims->client_id, token_issued_ms(claims)},
        .correlation_id = request->request_id,
        .traceparent = http_trace(request)};
    request->command = revocation;
}

/* An expired or invalid token is answered like one that is revoked (RFC 7009 §2.2). One that is revoked already is revoked
 * again: the database may have lost that since, and only this process may know it. */
static void revoke(struct http_request *request, const struct oauth_params *params) {
    const struct order_app *app = request->app;
    const char *client_id;
    struct client_grant grant;
    if (!authenticate(request, params, &client_id, &grant))
        return;
    if (!params->token) {
        refuse_oauth(request, "invalid_request", "The parameter token is missing");
        return;
    }
    switch (auth_token(&app->service.auth, params->token, &request->claims)) {
    case TOKEN_OK:
    case TOKEN_REVOKED:
        break;
    case TOKEN_EXPIRED:
    case TOKEN_INVALID:
        http_reply_empty(request, 200);
        return;
    case TOKEN_UNDECIDED:
    case TOKEN_NO_MEMORY:
        http_reply_problem(request, PROBLEM_UNAVAILABLE, "The token cannot be checked now");
        return;
    }
    if (strcmp(request->claims.client_id, client_id) == 0 || token_has_scope(grant.scope, "token:revoke"))
        plan_revocation(request);
    else
        refuse_oauth(request, "invalid_grant", "The token was issued to another client");
}

static void append_active(struct buf *body, const struct token_keys *keys,
                          const struct token_claims *claims) {
    buf_str(body, "{\"active\":true,\"client_id\":");
    json_append_text(body, claims->client_id);
    buf_str(body, ",\"sub\":");
    json_append_text(body, claims->client_id);
    buf_str(body, ",\"scope\":");
    json_append_text(body, claims->scope);
    buf_str(body, ",\"token_type\":\"Bearer\"");
    buf_printf(body, ",\"exp\":%lld", (long long)claims->expires_at);
    buf_printf(body, ",\"iat\":%lld", (long long)claims->issued_at);
    buf_str(body, ",\"iss\":");
    json_append_text(body, token_issuer(keys));
    buf_str(body, ",\"aud\":");
    json_append_text(body, token_audience(keys));
    buf_str(body, ",\"jti\":");
    char id[UUID_TEXT_SIZE];
    uuid_format(&claims->id, id);
    json_append_text(body, id);
    buf_char(body, '}');
}

/* Authenticates the caller, by its token or its client credentials. scope receives its scopes. *caller is NULL for
 * an anonymous caller, which only development allows. False as for read_basic. */
static bool find_caller(struct http_request *request, const struct oauth_params *params, const char **caller,
                        char scope[static TOKEN_SCOPE_SIZE]) {
    struct order_app *app = request->app;
    if (auth_is_bearer(request) && !params->client_id && !params->client_secret) {
        *caller = request->claims.client_id;
        if (!auth_caller(&app->service.auth, request))
            return false;
        memcpy(scope, request->claims.scope, TOKEN_SCOPE_SIZE);
        return true;
    }
    *caller = NULL;
    if (app->service.config->app_env == ENV_DEVELOPMENT && !params->client_id && !params->client_secret &&
        http_header_count(request, "Authorization") == 0)
        return true;
    struct client_grant grant;
    if (!authenticate(request, params, caller, &grant))
        return false;
    memcpy(scope, grant.scope, TOKEN_SCOPE_SIZE);
    return true;
}

/* A client may check its own tokens. A token of another client is reported as inactive (RFC 7662 §2.2). */
static void introspect(struct http_request *request, const struct oauth_params *params) {
    const struct order_app *app = request->app;
    const char *caller;
    char scope[TOKEN_SCOPE_SIZE];
    if (!find_caller(request, params, &caller, scope))
        return;
    if (!params->token) {
        refuse_oauth(request, "invalid_request", "The parameter token is missing");
        return;
    }

    struct token_claims claims;
    struct buf body = {0};
    enum token_status status = auth_token(&app->service.auth, params->token, &claims);
    if (status == TOKEN_OK &&
        (!caller || strcmp(caller, claims.client_id) == 0 || token_has_scope(scope, "token:introspect")))
        append_active(&body, app->service.auth.keys, &claims);
    else
        buf_str(&body, "{\"active\":false}");
    body.failed |= status == TOKEN_NO_MEMORY || status == TOKEN_UNDECIDED;
    http_reply_json(request, 200, &body);
    forbid_caching(request);
}

static void with_params(struct http_request *request,
                        void answer(struct http_request *, const struct oauth_params *)) {
    struct oauth_params params = {0};
    const char *fault = oauth_params_read(http_header(request, "Content-Type"), &request->body, &params);
    if (fault)
        refuse_oauth(request, "invalid_request", fault);
    else
        answer(request, &params);
    oauth_params_free(&params);
}

void tokens_revoke_prepare(struct http_request *request) {
    with_params(request, revoke);
}

/* When a client has revoked too many tokens, its oldest ones end together. The revocations are committed already, so a
 * failure is left to the next one. */
static void trim_client(struct http_worker *worker, const struct http_request *request) {
    const struct order_app *app = worker->app;
    struct client_revocation end;
    int64_t keep;
    bool ended;
    const char *client_id = request->claims.client_id;
    if (!revocations_crowded(app->service.auth.revocations, client_id, &keep))
        return;
    if (revocation_store_trim(worker->db, client_id, keep, request->request_id, &end, &ended) != DB_OK)
        log_warn(request->request_id, "the oldest tokens of %s cannot be revoked: %s", client_id,
                 db_error(worker->db));
    else if (ended) {
        revocations_end(app->service.auth.revocations, &end, 1);
        log_warn(request->request_id, "%s has revoked too many tokens: its oldest ones are void", client_id);
    }
}

enum outcome tokens_revoke_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct order_app *app = worker->app;
    const struct token_revocation *list[HTTP_BATCH_MAX];
    for (size_t i = 0; i < n; i++)
        list[i] = requests[i]->command;
    enum db_status status = revocation_store_add(worker->db, list, n);
    if (status != DB_OK)
        return db_outcome(status);
    outbox_wake(app->revocation_outbox);
    for (size_t i = 0; i < n; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_format(&list[i]->what.token_id, id);
        log_info(requests[i]->request_id, "token %s of %s was revoked", id, requests[i]->claims.client_id);
        revocations_add(app->service.auth.revocations, &list[i]->what, 1);
        http_reply_empty(requests[i], 200);
    }
    for (size_t i = 0; i < n; i++)
        trim_client(worker, requests[i]);
    return OUTCOME_DONE;
}

void tokens_issue_prepare(struct http_request *request) {
    with_params(request, issue);
}

void tokens_introspect_prepare(struct http_request *request) {
    with_params(request, introspect);
}
