/* GET /.well-known/jwks.json and GET /.well-known/oauth-authorization-server. */
#include "well_known.h"

#include "app.h"
#include "common/base/json_write.h"
#include "common/config/config.h"
#include "common/http/server.h"
#include "credentials.h"

#include <string.h>

/* The answer is public. Keys are published long before they sign, and stay published long after. */
static void allow_caching(struct http_request *request) {
    if (request->reply.status == 200)
        http_reply_header(request, "Cache-Control", "public, max-age=300");
}

void well_known_jwks_prepare(struct http_request *request) {
    const struct order_app *app = request->app;
    struct buf body = {0};
    token_keys_jwks(app->service.auth.keys, &body);
    http_reply_as(request, 200, "application/jwk-set+json", &body);
    allow_caching(request);
}

static void append_endpoint(struct buf *body, const char *issuer, const char *name, const char *path) {
    struct buf url = {0};
    buf_printf(&url, "%s%s", issuer, path);
    buf_printf(body, ",\"%s\":", name);
    json_append_text(body, url.data ? url.data : "");
    body->failed |= url.failed;
    buf_free(&url);
}

static void append_words(struct buf *body, const char *name, const char *words) {
    buf_printf(body, ",\"%s\":[", name);
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        buf_printf(body, "%s\"%.*s\"", at == words ? "" : ",", (int)len, at);
        at += len;
    }
    buf_char(body, ']');
}

void well_known_metadata_prepare(struct http_request *request) {
    static const char ways[] = "client_secret_basic client_secret_post";
    const char *issuer = ((const struct order_app *)request->app)->service.config->jwt_issuer;
    if (strncmp(issuer, "https://", 8) != 0 && strncmp(issuer, "http://", 7) != 0) {
        http_reply_problem(request, PROBLEM_NOT_FOUND,
                           "There is no metadata, because the token issuer is not a URL");
        return;
    }
    struct buf body = {0};
    buf_str(&body, "{\"issuer\":");
    json_append_text(&body, issuer);
    append_endpoint(&body, issuer, "token_endpoint", "/auth/token");
    append_endpoint(&body, issuer, "revocation_endpoint", "/auth/revoke");
    append_endpoint(&body, issuer, "introspection_endpoint", "/auth/introspect");
    append_endpoint(&body, issuer, "jwks_uri", "/.well-known/jwks.json");
    append_words(&body, "scopes_supported", SCOPES_KNOWN);
    append_words(&body, "response_types_supported", ""); /* there is no authorization endpoint */
    append_words(&body, "grant_types_supported", "client_credentials");
    append_words(&body, "token_endpoint_auth_methods_supported", ways);
    append_words(&body, "revocation_endpoint_auth_methods_supported", ways);
    append_words(&body, "introspection_endpoint_auth_methods_supported", ways);
    buf_char(&body, '}');
    http_reply_json(request, 200, &body);
    allow_caching(request);
}
