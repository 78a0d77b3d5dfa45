/* Access tokens: what we issue is accepted, and each claim is checked (RFC 9068). */
#include "common/base/clock.h"
#include "fakes/foreign_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW FOREIGN_NOW

static enum token_status with_payload(const char *payload) {
    return foreign_verify(foreign_token(FOREIGN_HEADER, payload, EVP_sha256(), FOREIGN_SECRET));
}

/* The status of a token that is right but for one claim. */
static enum token_status with_claim(const char *name, const char *value) {
    json_t *claims = json_loads(FOREIGN_CLAIMS, 0, NULL);
    if (value)
        json_object_set_new(claims, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(claims, name);
    char *payload = json_dumps(claims, 0);
    enum token_status status = with_payload(payload);
    free(payload);
    json_decref(claims);
    return status;
}

static void what_is_issued_is_verified(void **state) {
    (void)state;
    struct token_claims issued, found;
    char *token = token_issue(foreign_keys, "shop-1", "order:create order:read", NOW, &issued);
    assert_non_null(token);
    assert_int_equal(token_verify(foreign_keys, token, NOW, &found), TOKEN_OK);
    assert_string_equal(found.client_id, "shop-1");
    assert_string_equal(found.scope, "order:create order:read");
    assert_int_equal(found.issued_at, NOW);
    assert_int_equal(found.expires_at, NOW + 3600);
    assert_int_equal(uuid_compare(&found.id, &issued.id), 0);
    assert_string_equal(issued.client_id, "shop-1");
    assert_int_equal(issued.expires_at, NOW + 3600);

    assert_int_equal(token_verify(foreign_keys, token, NOW + 3599, &found), TOKEN_OK);
    assert_int_equal(token_verify(foreign_keys, token, NOW + 3600, &found), TOKEN_EXPIRED);
    free(token);
}

static void the_header_is_ours(void **state) {
    (void)state;
    struct token_claims claims;
    char expected[128] = "";
    append_base64url(expected, FOREIGN_HEADER, strlen(FOREIGN_HEADER));
    strcat(expected, ".");
    char *token = token_issue(foreign_keys, "shop-1", "order:read", NOW, &claims);
    assert_non_null(token);
    assert_memory_equal(token, expected, strlen(expected));
    free(token);
}

static void ids_differ(void **state) {
    (void)state;
    struct token_claims first, second;
    free(token_issue(foreign_keys, "shop-1", "order:read", NOW, &first));
    free(token_issue(foreign_keys, "shop-1", "order:read", NOW, &second));
    assert_int_not_equal(uuid_compare(&first.id, &second.id), 0);
}

/* iat has whole seconds, the jti has milliseconds. */
static void the_time_of_issue_is_in_the_id(void **state) {
    (void)state;
    struct token_claims claims;
    int64_t now_ms = clock_epoch_ms();
    free(token_issue(foreign_keys, "shop-1", "order:read", now_ms / 1000, &claims));
    assert_true(token_issued_ms(&claims) >= now_ms && token_issued_ms(&claims) < now_ms + 5000);

    free(token_issue_from(foreign_keys, "shop-1", "order:read", now_ms / 1000, now_ms + 9000, &claims));
    assert_true(token_issued_ms(&claims) == now_ms + 9000);
    assert_int_equal(claims.issued_at, now_ms / 1000);
    free(token_issue_from(foreign_keys, "shop-1", "order:read", now_ms / 1000, 1000, &claims));
    assert_true(token_issued_ms(&claims) >= now_ms);
}

static void an_id_without_that_time_leaves_iat(void **state) {
    (void)state;
    static const char *const ids[] = {
        "0190163d-8694-739b-aea5-966c26f8ad91", /* of another year */
        "00000000-0000-0000-0000-000000000000",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    };
    for_each_row(i, ids, "%s", ids[i]) {
        struct token_claims claims = {.issued_at = NOW};
        assert_true(uuid_parse(ids[i], &claims.id));
        assert_true(token_issued_ms(&claims) == (int64_t)NOW * 1000);
        claims.issued_at = INT64_MAX;
        assert_int_equal(token_issued_ms(&claims), 0);
        claims.issued_at = -1;
        assert_int_equal(token_issued_ms(&claims), 0);
    }
}

static void client_and_scope_must_fit(void **state) {
    (void)state;
    struct token_claims claims = {.client_id = "untouched"};
    char text[1024];
    memset(text, 'a', sizeof text);
    text[TOKEN_CLIENT_ID_SIZE] = '\0';
    assert_null(token_issue(foreign_keys, text, "order:read", NOW, &claims));
    memset(text, 'a', sizeof text);
    text[TOKEN_SCOPE_SIZE] = '\0';
    assert_null(token_issue(foreign_keys, "shop-1", text, NOW, &claims));
    assert_string_equal(claims.client_id, "untouched");

    text[TOKEN_CLIENT_ID_SIZE - 1] = '\0';
    char *token = token_issue(foreign_keys, text, "order:read", NOW, &claims);
    assert_non_null(token);
    assert_int_equal(foreign_verify(token), TOKEN_OK);
    free(token);
}

static void a_short_secret_is_refused(void **state) {
    (void)state;
    struct token_options weak = foreign_options;
    weak.secret = "";
    assert_null(token_keys_new(&weak));
    weak.secret = "0123456789abcdef0123456789abcde";
    assert_null(token_keys_new(&weak));
}

static void each_claim_is_checked(void **state) {
    (void)state;
    static const struct {
        const char *name, *value; /* NULL: left out */
        enum token_status expected;
    } cases[] = {
        {"iss", "\"the-issuer\"", TOKEN_OK},
        {"iss", "\"another\"", TOKEN_INVALID},
        {"iss", "[\"the-issuer\"]", TOKEN_INVALID},
        {"iss", NULL, TOKEN_INVALID},
        {"aud", "[\"another\",\"the-api\"]", TOKEN_OK},
        {"aud", "[7,\"another\"]", TOKEN_INVALID},
        {"aud", "[]", TOKEN_INVALID},
        {"aud", "{\"the-api\":\"the-api\"}", TOKEN_INVALID},
        {"aud", "\"another\"", TOKEN_INVALID},
        {"aud", "\"the-api2\"", TOKEN_INVALID},
        {"aud", NULL, TOKEN_INVALID},
        {"sub", "\"shop-2\"", TOKEN_INVALID},
        {"sub", NULL, TOKEN_INVALID},
        {"client_id", "\"shop-2\"", TOKEN_INVALID},
        {"client_id", "5", TOKEN_INVALID},
        {"client_id", NULL, TOKEN_INVALID},
        {"scope", "[\"order:read\"]", TOKEN_INVALID},
        {"scope", NULL, TOKEN_INVALID},
        {"jti", "\"0190163d-8694-739b-aea5-966c26f8ad91x\"", TOKEN_INVALID},
        {"jti", "\"7\"", TOKEN_INVALID},
        {"jti", "\"\"", TOKEN_INVALID},
        {"jti", NULL, TOKEN_INVALID},
        {"iat", "\"1\"", TOKEN_INVALID},
        {"iat", NULL, TOKEN_INVALID},
        {"exp", "1800000001", TOKEN_OK},
        {"exp", "9223372036854775807", TOKEN_OK},
        {"exp", "1800000000", TOKEN_EXPIRED},
        {"exp", "0", TOKEN_EXPIRED},
        {"exp", "-1", TOKEN_EXPIRED},
        {"exp", "1800000001.5", TOKEN_INVALID},
        {"exp", "1.9e9", TOKEN_INVALID},
        {"exp", "\"1800000001\"", TOKEN_INVALID},
        {"exp", "null", TOKEN_INVALID},
        {"exp", "true", TOKEN_INVALID},
        {"exp", "[1800000001]", TOKEN_INVALID},
        {"exp", NULL, TOKEN_INVALID},
        {"nbf", "1800000000", TOKEN_OK},
        {"nbf", "1800000001", TOKEN_INVALID},
        {"nbf", "\"0\"", TOKEN_INVALID},
        {"nbf", "1.5", TOKEN_INVALID},
        {"nbf", "null", TOKEN_INVALID},
        {"extra", "{\"any\":[\"thing\"]}", TOKEN_OK},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (with_claim(cases[i].name, cases[i].value) != cases[i].expected)
            fail_msg("wrong status for %s: %s", cases[i].name, cases[i].value ? cases[i].value : "(none)");
}

/* What JSON readers take differently from one another is no claim. */
static void ambiguous_payloads_are_refused(void **state) {
    (void)state;
    static const char *const refused[] = {
        FOREIGN_START ",\"exp\":9223372036854775808}",
        FOREIGN_START ",\"exp\":99999999999999999999999999}",
        FOREIGN_START ",\"exp\":1,\"exp\":1800000001}",
        FOREIGN_START ",\"exp\":1800000001,\"scope\":\"order:read:all\"}",
        FOREIGN_START ",\"exp\":1800000001,\"extra\":{\"a\":1,\"a\":1}}",
        FOREIGN_START ",\"exp\":1800000001,\"exp\\u0000\":1}",
        FOREIGN_START ",\"exp\":1800000001}{}",
        "[" FOREIGN_START ",\"exp\":1800000001}]",
        FOREIGN_START ",\"exp\":1800000001",
        "exp",
        "",
    };
    assert_int_equal(with_payload(FOREIGN_START ",\"exp\":1800000001}"), TOKEN_OK);
    for (size_t i = 0; i < COUNT(refused); i++)
        if (with_payload(refused[i]) != TOKEN_INVALID)
            fail_msg("accepted the payload %s", refused[i]);
}

/* An expired token of someone else is no token of ours that expired. */
static void expired_is_said_of_our_tokens_only(void **state) {
    (void)state;
    static const char expired[] = FOREIGN_START ",\"exp\":1}";
    assert_int_equal(with_payload(expired), TOKEN_EXPIRED);
    assert_int_equal(foreign_verify(foreign_token(FOREIGN_HEADER, expired, EVP_sha256(), "another secret")),
                     TOKEN_INVALID);
    assert_int_equal(with_payload("{\"iss\":\"another\",\"exp\":1}"), TOKEN_INVALID);
}

static void claims_stay_untouched_on_failure(void **state) {
    (void)state;
    struct token_claims claims = {.client_id = "before"};
    const char *token =
        foreign_token(FOREIGN_HEADER, FOREIGN_START ",\"exp\":1}", EVP_sha256(), FOREIGN_SECRET);
    assert_int_equal(token_verify(foreign_keys, token, NOW, &claims), TOKEN_EXPIRED);
    assert_string_equal(claims.client_id, "before");
}

/* That a token was verified before changes nothing: not its times, and not that every byte counts. */
static void a_second_look_is_like_the_first(void **state) {
    (void)state;
    struct token_claims claims;
    char token[FOREIGN_SIZE];
    strcpy(token, foreign_token(FOREIGN_HEADER, FOREIGN_START ",\"exp\":1800000001,\"nbf\":1800000000}",
                                EVP_sha256(), FOREIGN_SECRET));
    for (int look = 0; look < 2; look++) {
        claims = (struct token_claims){0};
        assert_int_equal(token_verify(foreign_keys, token, NOW, &claims), TOKEN_OK);
        assert_string_equal(claims.client_id, "shop-1");
        assert_string_equal(claims.scope, "order:create order:read");
        assert_int_equal(claims.expires_at, NOW + 1);
        assert_int_equal(token_verify(foreign_keys, token, NOW - 1, &claims), TOKEN_INVALID);
        assert_int_equal(token_verify(foreign_keys, token, NOW + 1, &claims), TOKEN_EXPIRED);
    }
    char *middle = strchr(token, '.') + 5;
    *middle = *middle == 'A' ? 'B' : 'A';
    assert_int_equal(foreign_verify(token), TOKEN_INVALID);
}

static void a_scope_is_found_as_a_whole_word(void **state) {
    (void)state;
    static const struct {
        const char *list, *scope;
        bool expected;
    } cases[] = {
        {"order:create order:read", "order:create", true},
        {"order:create order:read", "order:read", true},
        {"order:read", "order:read", true},
        {"order:read:all", "order:read", false},
        {"xorder:read", "order:read", false},
        {"xorder:read order:read", "order:read", true},
        {"order:read", "order:read:all", false},
        {"ORDER:READ", "order:read", false},
        {"", "order:read", false},
        {"order:read", "", false},
        {"", "", false},
        {"a  b", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (token_has_scope(cases[i].list, cases[i].scope) != cases[i].expected)
            fail_msg("'%s' in '%s'", cases[i].scope, cases[i].list);
}

static char *issue_with(struct token_keys *issuer) {
    struct token_claims claims;
    char *token = token_issue(issuer, "shop-1", "order:read", NOW, &claims);
    assert_non_null(token);
    return token;
}

static enum token_status verdict_of(struct token_keys *reader, const char *token) {
    struct token_claims claims;
    return token_verify(reader, token, NOW, &claims);
}

static void the_secret_is_replaced_on_demand(void **state) {
    (void)state;
    struct token_keys *own = token_keys_new(&foreign_options);
    char *before = issue_with(own);
    token_keys_reload(own, NULL);
    token_keys_reload(own, foreign_options.secret);
    token_keys_reload(own, "short");
    assert_int_equal(verdict_of(own, before), TOKEN_OK);
    token_keys_reload(own, "another secret of 32 bytes or more");
    assert_int_equal(verdict_of(own, before), TOKEN_INVALID);
    char *after = issue_with(own);
    assert_int_equal(verdict_of(own, after), TOKEN_OK);
    token_keys_reload(own, foreign_options.secret);
    assert_int_equal(verdict_of(own, before), TOKEN_OK);
    free(before);
    free(after);
    token_keys_free(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_secret_is_replaced_on_demand),
        cmocka_unit_test(what_is_issued_is_verified),
        cmocka_unit_test(the_header_is_ours),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(the_time_of_issue_is_in_the_id),
        cmocka_unit_test(an_id_without_that_time_leaves_iat),
        cmocka_unit_test(client_and_scope_must_fit),
        cmocka_unit_test(a_short_secret_is_refused),
        cmocka_unit_test(each_claim_is_checked),
        cmocka_unit_test(ambiguous_payloads_are_refused),
        cmocka_unit_test(expired_is_said_of_our_tokens_only),
        cmocka_unit_test(claims_stay_untouched_on_failure),
        cmocka_unit_test(a_second_look_is_like_the_first),
        cmocka_unit_test(a_scope_is_found_as_a_whole_word),
    };
    return cmocka_run_group_tests(tests, foreign_keys_make, foreign_keys_free);
}
