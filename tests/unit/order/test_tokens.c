/* The OAuth endpoints: which requests get a token, and what the others are told (RFC 6749, RFC 7009, RFC
 * 7662). The clients and the revoked tokens are this file's. */
#include "order/tokens.h"

#include "common/clock.h"
#include "common/config.h"
#include "common/outbox.h"
#include "fake_http.h"
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

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define SHOP_BASIC "Basic c2hvcDpzZWNyZXQ="  /* shop:secret */
#define WRONG_BASIC "Basic c2hvcDp3cm9uZw==" /* shop:wrong */

enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        char scope[static TOKEN_SCOPE_SIZE]) {
    (void)clients;
    if (strcmp(id, "new") == 0)
        return CLIENT_UNREAD;
    bool known_id = strcmp(id, "shop") == 0 || strcmp(id, "other") == 0;
    if (!known_id || strcmp(secret, "secret") != 0)
        return CLIENT_REFUSED;
    strcpy(scope, "order:create order:read");
    return CLIENT_OK;
}

/* What the table of revoked tokens says of all of them, what is put there, and what becomes of that. */
static enum token_status verdict = TOKEN_OK;
static bool full;
static enum db_status store_status = DB_OK;
static struct revocation stored, known;
static size_t stored_count, known_count, wakes;

enum token_status revocations_check(struct revocations *revocations, const struct uuid *token_id) {
    (void)revocations, (void)token_id;
    return verdict;
}

bool revocations_full(struct revocations *revocations) {
    (void)revocations;
    return full;
}

void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n) {
    (void)revocations;
    known = list[0];
    known_count += n;
}

enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[], size_t n) {
    (void)db;
    stored = list[0]->what;
    stored_count += n;
    return store_status;
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
static struct order_app app = {.config = &config};

static int set_up(void **state) {
    (void)state;
    app.keys = token_keys_new(&options);
    app.guesses = guesses_new(0);
    return app.keys && app.guesses ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    guesses_free(app.guesses);
    token_keys_free(app.keys);
    return 0;
}

/* Sends a body; basic: the Authorization header, or NULL. Returns the answer, parsed. */
static json_t *send(struct http_request *request, void handler(struct http_request *), const char *type,
                    const char *body, const char *basic) {
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

static const char *text(const json_t *answer, const char *name) {
    const char *value = json_string_value(json_object_get(answer, name));
    return value ? value : "(none)";
}

static void assert_not_cached(const struct http_request *request) {
    assert_string_equal(fake_reply_header(request, "Cache-Control"), "no-store");
    assert_string_equal(fake_reply_header(request, "Pragma"), "no-cache");
    assert_string_equal(request->reply.content_type, "application/json");
}

static void test_token_is_issued(void **state) {
    (void)state;
    static const struct {
        const char *type, *body, *basic, *scope;
    } cases[] = {
        {FORM, "grant_type=client_credentials&client_id=shop&client_secret=secret", NULL,
         "order:create order:read"},
        {FORM, "grant_type=client_credentials", SHOP_BASIC, "order:create order:read"},
        {FORM, "grant_type=client_credentials&client_id=shop", SHOP_BASIC, "order:create order:read"},
        {FORM, "grant_type=client_credentials&scope=order%3Aread", SHOP_BASIC, "order:read"},
        {JSON, "{\"grant_type\":\"client_credentials\",\"client_id\":\"shop\",\"client_secret\":\"secret\"}",
         NULL, "order:create order:read"},
        {JSON, "{\"grant_type\":\"client_credentials\",\"scope\":\"order:read\"}", SHOP_BASIC, "order:read"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request request = {0};
        json_t *answer = send(&request, tokens_issue, cases[i].type, cases[i].body, cases[i].basic);
        assert_int_equal(request.reply.status, 200);
        assert_not_cached(&request);
        assert_int_equal(json_object_size(answer), 4);
        assert_string_equal(text(answer, "token_type"), "Bearer");
        assert_string_equal(text(answer, "scope"), cases[i].scope);
        assert_int_equal(json_integer_value(json_object_get(answer, "expires_in")), 3600);
        struct token_claims claims;
        assert_int_equal(
            token_verify(app.keys, text(answer, "access_token"), clock_epoch_ms() / 1000, &claims), TOKEN_OK);
        assert_string_equal(claims.client_id, "shop");
        assert_string_equal(claims.scope, cases[i].scope);
        json_decref(answer);
        fake_end(&request);
    }
}

static void test_token_is_refused(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        const char *error, *type, *body, *basic;
    } cases[] = {
        {400, "invalid_request", FORM, "", SHOP_BASIC},
        {400, "invalid_request", FORM, "grant_type=", SHOP_BASIC},
        {400, "unsupported_grant_type", FORM, "grant_type=password", SHOP_BASIC},
        {400, "invalid_request", FORM, "grant_type=client_credentials&grant_type=client_credentials",
         SHOP_BASIC},
        {400, "invalid_request", "text/plain", "grant_type=client_credentials", SHOP_BASIC},
        {400, "invalid_request", JSON, "{", SHOP_BASIC},
        {401, "invalid_client", FORM, "grant_type=client_credentials", NULL},
        {401, "invalid_client", FORM, "grant_type=client_credentials&client_id=shop", NULL},
        {401, "invalid_client", FORM, "grant_type=client_credentials&client_secret=secret", NULL},
        {401, "invalid_client", FORM, "grant_type=client_credentials&client_id=shop&client_secret=wrong",
         NULL},
        {401, "invalid_client", FORM, "grant_type=client_credentials&client_id=nobody&client_secret=secret",
         NULL},
        {401, "invalid_client", FORM, "grant_type=client_credentials", WRONG_BASIC},
        {401, "invalid_client", FORM, "grant_type=client_credentials", "Basic !"},
        {401, "invalid_client", FORM, "grant_type=client_credentials", "Bearer abc"},
        {400, "invalid_request", FORM, "grant_type=client_credentials&client_secret=secret", SHOP_BASIC},
        {400, "invalid_request", FORM, "grant_type=client_credentials&client_id=shop&client_secret=secret",
         SHOP_BASIC},
        {400, "invalid_request", FORM, "grant_type=client_credentials&client_id=other", SHOP_BASIC},
        {400, "invalid_scope", FORM, "grant_type=client_credentials&scope=order:read:all", SHOP_BASIC},
        {400, "invalid_scope", FORM, "grant_type=client_credentials&scope=order:read+nonsense", SHOP_BASIC},
        {400, "invalid_scope", FORM, "grant_type=client_credentials&scope=+", SHOP_BASIC},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request request = {0};
        json_t *answer = send(&request, tokens_issue, cases[i].type, cases[i].body, cases[i].basic);
        if (strcmp(text(answer, "error"), cases[i].error) != 0)
            fail_msg("'%s' gave %s", cases[i].body, text(answer, "error"));
        assert_int_equal(request.reply.status, cases[i].status);
        assert_string_not_equal(text(answer, "error_description"), "(none)");
        assert_not_cached(&request);
        const char *challenge = fake_reply_header(&request, "WWW-Authenticate");
        if (cases[i].status == 401)
            assert_string_equal(challenge, "Basic realm=\"order-service\"");
        else
            assert_null(challenge);
        json_decref(answer);
        fake_end(&request);
    }
}

static void test_two_authorization_headers(void **state) {
    (void)state;
    struct http_request request = {0};
    fake_request_header("Authorization", SHOP_BASIC);
    json_t *answer = send(&request, tokens_issue, FORM, "grant_type=client_credentials", SHOP_BASIC);
    assert_string_equal(text(answer, "error"), "invalid_request");
    json_decref(answer);
    fake_end(&request);
}

/* Not 401: that would tell a known client that its secret is wrong. */
static void test_clients_unread(void **state) {
    (void)state;
    struct http_request request = {0};
    json_t *answer = send(&request, tokens_issue, FORM,
                          "grant_type=client_credentials&client_id=new&client_secret=s", NULL);
    assert_int_equal(request.reply.status, 503);
    assert_non_null(fake_reply_header(&request, "Retry-After"));
    json_decref(answer);
    fake_end(&request);
}

/* The status of an introspection, whose answer is compared with expected where that is given. */
static unsigned introspect(enum config_env env, const char *type, const char *body, const char *basic,
                           const char *expected) {
    config.app_env = env;
    struct http_request request = {0};
    json_t *answer = send(&request, tokens_introspect, type, body, basic);
    unsigned status = request.reply.status;
    assert_not_cached(&request);
    if (expected)
        assert_string_equal(request.reply.body.data, expected);
    json_decref(answer);
    fake_end(&request);
    return status;
}

static void test_active_token(void **state) {
    (void)state;
    struct token_claims claims;
    char *token = token_issue(app.keys, "shop", "order:read", clock_epoch_ms() / 1000, &claims);
    char form[TOKEN_MAX_SIZE], json[TOKEN_MAX_SIZE], expected[1024], id[UUID_TEXT_SIZE];
    uuid_format(&claims.id, id);
    snprintf(form, sizeof form, "token=%s&token_type_hint=access_token", token);
    snprintf(json, sizeof json, "{\"token\":\"%s\"}", token);
    snprintf(expected, sizeof expected,
             "{\"active\":true,\"client_id\":\"shop\",\"sub\":\"shop\",\"scope\":\"order:read\","
             "\"token_type\":\"Bearer\",\"exp\":%lld,\"iat\":%lld,\"iss\":\"the-issuer\",\"aud\":\"the-api\","
             "\"jti\":\"%s\"}",
             (long long)claims.expires_at, (long long)claims.issued_at, id);
    free(token);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, form, NULL, expected), 200);
    assert_int_equal(introspect(ENV_DEVELOPMENT, JSON, json, NULL, expected), 200);
    verdict = TOKEN_REVOKED;
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, form, NULL, "{\"active\":false}"), 200);
    verdict = TOKEN_OK;
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, form, SHOP_BASIC, expected), 200);
}

/* The answer to a revocation of the form, by the client: the status, and "" or the error. */
static unsigned revoke(const char *form, const char *basic, char error[static 32]) {
    struct http_request request = {.app = &app, .request_id = "r-1"}, *batch[] = {&request};
    struct http_worker worker = {.app = &app};
    *error = '\0';
    fake_request_header("Content-Type", FORM);
    fake_request_header("Authorization", basic);
    buf_str(&request.body, form);
    tokens_revoke_prepare(&request);
    if (!request.reply.status)
        assert_int_equal(tokens_revoke_run(&worker, batch, 1), store_status);
    json_t *answer =
        json_loadb(request.reply.body.data ? request.reply.body.data : "", request.reply.body.len, 0, NULL);
    if (answer)
        snprintf(error, 32, "%s", text(answer, "error"));
    json_decref(answer);
    unsigned status = request.reply.status;
    fake_end(&request);
    return status;
}

static void test_token_is_revoked(void **state) {
    (void)state;
    struct token_claims claims;
    char *token = token_issue(app.keys, "shop", "order:read", clock_epoch_ms() / 1000, &claims);
    char form[TOKEN_MAX_SIZE], error[32];
    snprintf(form, sizeof form, "token=%s&token_type_hint=refresh_token", token);
    free(token);
    stored_count = known_count = wakes = 0;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_string_equal(error, "");
    assert_int_equal(stored_count, 1);
    assert_int_equal(uuid_compare(&stored.token_id, &claims.id), 0);
    assert_int_equal(stored.expires_at, claims.expires_at);
    assert_int_equal(known_count, 1);
    assert_int_equal(uuid_compare(&known.token_id, &claims.id), 0);
    assert_int_equal(wakes, 1);

    store_status = DB_UNAVAILABLE; /* then nobody says that it is revoked */
    assert_int_equal(revoke(form, SHOP_BASIC, error), 0);
    assert_int_equal(known_count, 1);
    store_status = DB_OK;
    full = true;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 503);
    full = false;
    verdict = TOKEN_UNDECIDED;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 503);
    stored_count = 0;
    verdict = TOKEN_REVOKED;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    verdict = TOKEN_OK;
    assert_int_equal(stored_count, 0);
}

static void test_token_is_not_revoked(void **state) {
    (void)state;
    struct token_claims claims;
    int64_t now = clock_epoch_ms() / 1000;
    char *good = token_issue(app.keys, "shop", "order:read", now, &claims);
    char *expired = token_issue(app.keys, "shop", "order:read", 1000, &claims);
    char *others = token_issue(app.keys, "other", "order:read", now, &claims);
    const struct {
        const char *token, *basic;
        unsigned status;
        const char *error;
    } cases[] = {
        {expired, SHOP_BASIC, 200, ""},
        {"a.b.c", SHOP_BASIC, 200, ""},
        {"", SHOP_BASIC, 400, "invalid_request"},
        {others, SHOP_BASIC, 400, "invalid_grant"},
        {good, WRONG_BASIC, 401, "invalid_client"},
    };
    stored_count = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char form[TOKEN_MAX_SIZE], error[32];
        snprintf(form, sizeof form, "token=%s", cases[i].token);
        assert_int_equal(revoke(form, cases[i].basic, error), cases[i].status);
        assert_string_equal(error, cases[i].error);
    }
    assert_int_equal(stored_count, 0);
    free(good);
    free(expired);
    free(others);
}

static void test_inactive_token(void **state) {
    (void)state;
    static const char inactive[] = "{\"active\":false}";
    struct token_claims claims;
    char *expired = token_issue(app.keys, "shop", "order:read", 1000, &claims);
    char form[TOKEN_MAX_SIZE];
    snprintf(form, sizeof form, "token=%s", expired);
    free(expired);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, form, NULL, inactive), 200);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, "token=a.b.c", NULL, inactive), 200);
    assert_int_equal(introspect(ENV_DEVELOPMENT, JSON, "{\"token\":\"\\u00e9\"}", NULL, inactive), 200);
    assert_int_equal(
        introspect(ENV_PRODUCTION, FORM, "token=a.b.c&client_id=shop&client_secret=secret", NULL, inactive),
        200);
}

static void test_who_may_introspect(void **state) {
    (void)state;
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c", NULL, NULL), 401);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c&client_id=shop", NULL, NULL), 401);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c", WRONG_BASIC, NULL), 401);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, "token=a.b.c", WRONG_BASIC, NULL), 401);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, "", NULL, NULL), 400);
    assert_int_equal(introspect(ENV_DEVELOPMENT, "text/plain", "token=a.b.c", NULL, NULL), 400);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "", SHOP_BASIC, NULL), 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_is_issued),
        cmocka_unit_test(test_token_is_refused),
        cmocka_unit_test(test_two_authorization_headers),
        cmocka_unit_test(test_clients_unread),
        cmocka_unit_test(test_token_is_revoked),
        cmocka_unit_test(test_token_is_not_revoked),
        cmocka_unit_test(test_active_token),
        cmocka_unit_test(test_inactive_token),
        cmocka_unit_test(test_who_may_introspect),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
