/* The guard: who passes, and what the others are told (RFC 6750). */
#include "common/auth/auth.h"

#include "common/base/clock.h"
#include "fakes/fake_http.h"
#include "fakes/fake_revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "fakes/captured_log.h"
#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define REALM "Bearer realm=\"order-processing\""

static const struct token_options options = {.secret = "0123456789abcdef0123456789abcdef",
                                             .issuer = "the-issuer",
                                             .audience = "the-api",
                                             .lifetime_s = 3600};
static const struct http_route route = {.method = "POST", .pattern = "/orders", .scope = "order:create"};

static struct token_keys *keys;
static char *good, *expired, *other_scope;
static char header[TOKEN_MAX_SIZE + 32];

static int set_up(void **state) {
    (void)state;
    struct token_claims claims;
    int64_t now = clock_epoch_ms() / 1000;
    keys = token_keys_new(&options);
    good = token_issue(keys, "shop-1", "order:read order:create", now, &claims);
    expired = token_issue(keys, "shop-1", "order:create", now - 7200, &claims);
    other_scope = token_issue(keys, "shop-1", "order:read", now, &claims);
    return good && expired && other_scope ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    free(good);
    free(expired);
    free(other_scope);
    token_keys_free(keys);
    return 0;
}

/* Calls the guard with the header "<scheme><token>", or with none when scheme is NULL. */
static bool guard(struct http_request *request, const char *scheme, const char *token, bool anonymous) {
    request->route = &route;
    snprintf(header, sizeof header, "%s%s", scheme ? scheme : "", token);
    if (scheme)
        fake_request_header("Authorization", header);
    return auth_guard(&(struct auth){.keys = keys, .anonymous = anonymous}, request);
}

static void assert_refused(struct http_request *request, unsigned status, const char *code,
                           const char *challenge) {
    char member[64];
    snprintf(member, sizeof member, "\"error\":\"%s\"", code);
    assert_int_equal(request->reply.status, status);
    assert_non_null(strstr(request->reply.body.data, member));
    assert_string_equal(fake_reply_header(request, "WWW-Authenticate"), challenge);
    fake_end(request);
}

static void a_good_token_passes(void **state) {
    (void)state;
    static const char *const schemes[] = {"Bearer ", "bearer ", "BEARER   "};
    for_each_row(i, schemes, "'%s'", schemes[i]) {
        struct http_request request = {0};
        assert_true(guard(&request, schemes[i], good, false));
        assert_int_equal(request.reply.status, 0);
        assert_string_equal(request.claims.client_id, "shop-1");
        assert_string_equal(request.claims.scope, "order:read order:create");
        fake_end(&request);
    }
}

static void a_missing_or_malformed_header_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *scheme, *token;
    } cases[] = {
        {NULL, ""},         {"InvalidFormat", ""}, {"", ""},           {"Bearer", ""},    {"Bearer ", ""},
        {"Bearer ", "a b"}, {"Bearer ", "a,b"},    {"Basic ", "YTpi"}, {"Bearera ", "b"},
    };
    for_each_row(i, cases, "'%s%s'", cases[i].scheme ? cases[i].scheme : "", cases[i].token) {
        struct http_request request = {0};
        assert_false(guard(&request, cases[i].scheme, cases[i].token, false));
        assert_non_null(strstr(request.reply.body.data, "Missing or invalid Authorization header"));
        assert_refused(&request, 401, "UNAUTHORIZED", REALM);
    }
}

static void two_headers_are_refused(void **state) {
    (void)state;
    struct http_request request = {0};
    fake_request_header("Authorization", "Basic YTpi");
    assert_false(guard(&request, "Bearer ", good, false));
    assert_refused(&request, 401, "UNAUTHORIZED", REALM);
}

static void a_bad_token_is_refused(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_false(guard(&request, "Bearer ", "not.a.token", false));
    assert_refused(&request, 401, "INVALID_TOKEN", REALM ", error=\"invalid_token\"");
}

static void an_expired_token_is_told_apart(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_false(guard(&request, "Bearer ", expired, false));
    assert_refused(&request, 401, "TOKEN_EXPIRED",
                   REALM ", error=\"invalid_token\", error_description=\"The access token expired\"");
}

static void a_revoked_token_is_refused(void **state) {
    (void)state;
    struct http_request request = {0};
    verdict = TOKEN_REVOKED;
    assert_false(guard(&request, "Bearer ", good, false));
    assert_string_equal(request.claims.client_id, "");
    assert_refused(&request, 401, "INVALID_TOKEN",
                   REALM ", error=\"invalid_token\", error_description=\"The access token was revoked\"");
    assert_false(guard(&request, "Bearer ", good, true));
    fake_end(&request);
    assert_false(guard(&request, "Bearer ", expired, false));
    assert_refused(&request, 401, "TOKEN_EXPIRED",
                   REALM ", error=\"invalid_token\", error_description=\"The access token expired\"");
    verdict = TOKEN_OK;
}

/* As long as nobody knows, nobody gets in. */
static void nobody_gets_in_before_the_revocations_are_read(void **state) {
    (void)state;
    struct http_request request = {0};
    verdict = TOKEN_UNDECIDED;
    assert_false(guard(&request, "Bearer ", good, false));
    assert_int_equal(request.reply.status, 503);
    assert_non_null(fake_reply_header(&request, "Retry-After"));
    assert_null(fake_reply_header(&request, "WWW-Authenticate"));
    fake_end(&request);
    verdict = TOKEN_OK;
}

static void a_missing_scope_is_named(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_false(guard(&request, "Bearer ", other_scope, false));
    assert_refused(&request, 403, "FORBIDDEN",
                   REALM ", error=\"insufficient_scope\", scope=\"order:create\"");
}

static void only_those_without_a_header_are_anonymous(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_true(guard(&request, NULL, "", true));
    assert_string_equal(request.claims.client_id, "");
    fake_end(&request);

    assert_false(guard(&request, "Bearer ", "not.a.token", true));
    assert_refused(&request, 401, "INVALID_TOKEN", REALM ", error=\"invalid_token\"");
    assert_false(guard(&request, "Basic ", "YTpi", true));
    assert_refused(&request, 401, "UNAUTHORIZED", REALM);
    assert_false(guard(&request, "Bearer ", other_scope, true));
    assert_refused(&request, 403, "FORBIDDEN",
                   REALM ", error=\"insufficient_scope\", scope=\"order:create\"");
}

/* All that is logged of a token that the guard refuses. */
static const char *logged_of(const char *token) {
    struct http_request request = {.request_id = "the-request"};
    capture_begin();
    assert_false(guard(&request, "Bearer ", token, false));
    fake_end(&request);
    return capture_end();
}

static void a_refused_token_is_logged_without_what_it_says(void **state) {
    (void)state;
    const char *log = logged_of(expired);
    assert_non_null(strstr(log, "refused an expired token from "));
    assert_non_null(strstr(log, "the-request"));
    assert_null(strstr(log, "shop-1"));
    log = logged_of("a.b.c");
    assert_non_null(strstr(log, "refused an invalid token from "));
    assert_null(strstr(log, "a.b.c"));
    verdict = TOKEN_REVOKED;
    log = logged_of(good);
    verdict = TOKEN_OK;
    assert_non_null(strstr(log, "refused a revoked token from "));
    assert_non_null(strstr(log, ", client shop-1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_token_is_logged_without_what_it_says),
        cmocka_unit_test(a_good_token_passes),
        cmocka_unit_test(a_missing_or_malformed_header_is_refused),
        cmocka_unit_test(two_headers_are_refused),
        cmocka_unit_test(a_bad_token_is_refused),
        cmocka_unit_test(an_expired_token_is_told_apart),
        cmocka_unit_test(a_missing_scope_is_named),
        cmocka_unit_test(a_revoked_token_is_refused),
        cmocka_unit_test(nobody_gets_in_before_the_revocations_are_read),
        cmocka_unit_test(only_those_without_a_header_are_anonymous),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
