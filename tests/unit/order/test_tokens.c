/* The OAuth endpoints: which requests get a token, and what the others are told (RFC 6749, RFC 7662). */
#include "fakes/token_endpoints.h"

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_not_cached(const struct http_request *request) {
    assert_string_equal(fake_reply_header(request, "Cache-Control"), "no-store");
    assert_string_equal(fake_reply_header(request, "Pragma"), "no-cache");
    assert_string_equal(request->reply.content_type, "application/json");
}

static void a_token_is_issued(void **state) {
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
    for_each_row(i, cases, "%s, %s", cases[i].body, cases[i].basic ? cases[i].basic : "no header") {
        struct http_request request = {0};
        json_t *answer = send(&request, tokens_issue_prepare, cases[i].type, cases[i].body, cases[i].basic);
        assert_int_equal(request.reply.status, 200);
        assert_not_cached(&request);
        assert_int_equal(json_object_size(answer), 4);
        assert_string_equal(text(answer, "token_type"), "Bearer");
        assert_string_equal(text(answer, "scope"), cases[i].scope);
        assert_int_equal(json_integer_value(json_object_get(answer, "expires_in")), 3600);
        struct token_claims claims;
        assert_int_equal(token_verify(app.service.auth.keys, text(answer, "access_token"),
                                      clock_epoch_ms() / 1000, &claims),
                         TOKEN_OK);
        assert_string_equal(claims.client_id, "shop");
        assert_string_equal(claims.scope, cases[i].scope);
        json_decref(answer);
        fake_end(&request);
    }
}

static void a_token_is_refused(void **state) {
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
    for_each_row(i, cases, "%s, %s", cases[i].body, cases[i].basic ? cases[i].basic : "no header") {
        struct http_request request = {0};
        json_t *answer = send(&request, tokens_issue_prepare, cases[i].type, cases[i].body, cases[i].basic);
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

static void two_authorization_headers_are_refused(void **state) {
    (void)state;
    struct http_request request = {0};
    fake_request_header("Authorization", SHOP_BASIC);
    json_t *answer = send(&request, tokens_issue_prepare, FORM, "grant_type=client_credentials", SHOP_BASIC);
    assert_string_equal(text(answer, "error"), "invalid_request");
    json_decref(answer);
    fake_end(&request);
}

/* Not 401: that would tell a known client that its secret is wrong. */
static void clients_that_were_not_read_yet_are_not_refused(void **state) {
    (void)state;
    struct http_request request = {0};
    json_t *answer = send(&request, tokens_issue_prepare, FORM,
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
    json_t *answer = send(&request, tokens_introspect_prepare, type, body, basic);
    unsigned status = request.reply.status;
    assert_not_cached(&request);
    if (expected)
        assert_string_equal(request.reply.body.data, expected);
    json_decref(answer);
    fake_end(&request);
    return status;
}

static void an_active_token_is_described(void **state) {
    (void)state;
    struct token_claims claims;
    char *token = token_issue(app.service.auth.keys, "shop", "order:read", clock_epoch_ms() / 1000, &claims);
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

static void an_inactive_token_is_not_described(void **state) {
    (void)state;
    static const char inactive[] = "{\"active\":false}";
    struct token_claims claims;
    char *expired = token_issue(app.service.auth.keys, "shop", "order:read", 1000, &claims);
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

/* What the caller with this Authorization header is told of a token of "shop": active or not. */
static bool sees(const char *token, const char *authorization) {
    static const char inactive[] = "{\"active\":false}";
    char form[TOKEN_MAX_SIZE];
    struct http_request request = {0};
    snprintf(form, sizeof form, "token=%s", token);
    json_t *answer = send(&request, tokens_introspect_prepare, FORM, form, authorization);
    assert_int_equal(request.reply.status, 200);
    bool active = json_is_true(json_object_get(answer, "active"));
    if (!active)
        assert_string_equal(request.reply.body.data, inactive);
    json_decref(answer);
    fake_end(&request);
    return active;
}

static const char *bearer(const char *client_id, const char *scope, int64_t now_s) {
    static char header[TOKEN_MAX_SIZE];
    struct token_claims claims;
    char *token = token_issue(app.service.auth.keys, client_id, scope, now_s, &claims);
    snprintf(header, sizeof header, "Bearer %s", token);
    free(token);
    return header;
}

static void a_caller_sees_its_own_tokens_only(void **state) {
    (void)state;
    struct token_claims claims;
    int64_t now = clock_epoch_ms() / 1000;
    char *token = token_issue(app.service.auth.keys, "shop", "order:read", now, &claims);
    config.app_env = ENV_PRODUCTION;
    assert_true(sees(token, SHOP_BASIC));
    assert_false(sees(token, OTHER_BASIC));
    assert_true(sees(token, INSPECTOR_BASIC));
    assert_true(sees(token, bearer("shop", "order:create", now)));
    assert_false(sees(token, bearer("other", "order:create", now)));
    assert_false(sees(token, bearer("other", "token:introspection", now)));
    assert_true(sees(token, bearer("other", "token:introspect", now)));
    config.app_env = ENV_DEVELOPMENT;
    assert_false(sees(token, OTHER_BASIC));
    assert_false(sees(token, bearer("other", "order:create", now)));
    free(token);
}

/* What is wrong with the caller is no property of the token it asks about. */
static void a_caller_with_a_bad_token_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"Bearer a.b.c", bearer("shop", "order:read", 1000)};
    for_each_row(i, bad, "%s", bad[i]) {
        for (enum config_env env = ENV_PRODUCTION; env <= ENV_DEVELOPMENT; env++) {
            struct http_request request = {0};
            config.app_env = env;
            json_decref(send(&request, tokens_introspect_prepare, FORM, "token=a.b.c", bad[i]));
            assert_int_equal(request.reply.status, 401);
            assert_non_null(strstr(fake_reply_header(&request, "WWW-Authenticate"), "Bearer realm="));
            assert_non_null(
                strstr(fake_reply_header(&request, "WWW-Authenticate"), "error=\"invalid_token\""));
            fake_end(&request);
        }
    }
}

static void production_introspects_for_clients_only(void **state) {
    (void)state;
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c", NULL, NULL), 401);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c&client_id=shop", NULL, NULL), 401);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "token=a.b.c", WRONG_BASIC, NULL), 401);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, "token=a.b.c", WRONG_BASIC, NULL), 401);
    assert_int_equal(introspect(ENV_DEVELOPMENT, FORM, "", NULL, NULL), 400);
    assert_int_equal(introspect(ENV_DEVELOPMENT, "text/plain", "token=a.b.c", NULL, NULL), 400);
    assert_int_equal(introspect(ENV_PRODUCTION, FORM, "", SHOP_BASIC, NULL), 400);
    assert_int_equal(
        introspect(ENV_PRODUCTION, FORM, "token=a&client_id=shop&client_secret=secret", "Bearer a", NULL),
        400); /* two ways */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_issued),
        cmocka_unit_test(a_token_is_refused),
        cmocka_unit_test(two_authorization_headers_are_refused),
        cmocka_unit_test(clients_that_were_not_read_yet_are_not_refused),
        cmocka_unit_test(an_active_token_is_described),
        cmocka_unit_test(an_inactive_token_is_not_described),
        cmocka_unit_test(production_introspects_for_clients_only),
        cmocka_unit_test(a_caller_sees_its_own_tokens_only),
        cmocka_unit_test(a_caller_with_a_bad_token_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
