/* What stands around the OAuth endpoints in their tests: clients and revoked tokens that are the test's.
 * Include in one file of a test. */
#pragma once

#include "order/tokens.h"

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/events/outbox.h"
#include "fake_http.h"
#include "fake_revocations.h"
#include "order/app.h"
#include "order/clients.h"
#include "order/guesses.h"
#include "order/revocation_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define SHOP_BASIC "Basic c2hvcDpzZWNyZXQ="              /* shop:secret */
#define OTHER_BASIC "Basic b3RoZXI6c2VjcmV0"             /* other:secret */
#define INSPECTOR_BASIC "Basic aW5zcGVjdG9yOnNlY3JldA==" /* inspector:secret */
#define WRONG_BASIC "Basic c2hvcDp3cm9uZw=="             /* shop:wrong */

static int64_t tokens_from_ms; /* when the tokens that clients get were issued, at the earliest */

bool clients_know(struct clients *clients, const char *id) {
    (void)clients, (void)id;
    return true;
}

enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        struct client_grant *grant) {
    (void)clients;
    grant->from_ms = tokens_from_ms;
    if (strcmp(id, "inspector") == 0 && strcmp(secret, "secret") == 0) {
        strcpy(grant->scope, "order:read token:introspect token:revoke");
        return CLIENT_OK;
    }
    if (strcmp(id, "new") == 0)
        return CLIENT_UNREAD;
    bool known_id = strcmp(id, "shop") == 0 || strcmp(id, "other") == 0;
    if (!known_id || strcmp(secret, "secret") != 0)
        return CLIENT_REFUSED;
    strcpy(grant->scope, "order:create order:read");
    return CLIENT_OK;
}

/* What is put into the table of revoked tokens, and what becomes of that. */
static enum db_status store_status = DB_OK;
static struct revocation stored;
static size_t stored_count, wakes;

enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[], size_t n) {
    (void)db;
    stored = list[0]->what;
    stored_count += n;
    return store_status;
}

/* What is trimmed of a client that revoked too much. */
static enum db_status trim_status = DB_OK;
static int64_t trim_keep;

enum db_status revocation_store_trim(struct db *db, const char *client_id, int64_t keep,
                                     const char *correlation_id, struct client_revocation *end, bool *done) {
    (void)db, (void)correlation_id;
    trim_keep = keep;
    *end = (struct client_revocation){client_id, 1000, 2000};
    *done = true;
    return trim_status;
}

void outbox_wake(struct outbox *outbox) {
    (void)outbox;
    wakes++;
}

static const struct token_options options = {.secret = "0123456789abcdef0123456789abcdef",
                                             .issuer = "the-issuer",
                                             .audience = "the-api",
                                             .lifetime_s = 3600};
static struct config config = {.app_env = ENV_PRODUCTION};
static struct order_app app = {.service = {.config = &config}};

static inline int set_up(void **state) {
    (void)state;
    app.service.auth.keys = token_keys_new(&options);
    app.guesses = guesses_new(0);
    return app.service.auth.keys && app.guesses ? 0 : -1;
}

static inline int tear_down(void **state) {
    (void)state;
    guesses_free(app.guesses);
    token_keys_free(app.service.auth.keys);
    return 0;
}

/* Sends a body; basic: the Authorization header, or NULL. Returns the answer, parsed. */
static inline json_t *send(struct http_request *request, void handler(struct http_request *),
                           const char *type, const char *body, const char *basic) {
    request->app = &app;
    fake_request_header("Content-Type", type);
    if (basic)
        fake_request_header("Authorization", basic);
    buf_str(&request->body, body);
    handler(request);
    json_t *answer = json_loadb(request->reply.body.data, request->reply.body.len, 0, NULL);
    assert_non_null(answer);
    return answer;
}

static inline const char *text(const json_t *answer, const char *name) {
    const char *value = json_string_value(json_object_get(answer, name));
    return value ? value : "(none)";
}

/* The form with a token that was just issued to a client, followed by this text. */
static inline void form_of_token(char form[static TOKEN_MAX_SIZE], const char *client_id, const char *rest,
                                 struct token_claims *claims) {
    char *token =
        token_issue(app.service.auth.keys, client_id, "order:read", clock_epoch_ms() / 1000, claims);
    assert_non_null(token);
    snprintf(form, TOKEN_MAX_SIZE, "token=%s%s", token, rest);
    free(token);
}
