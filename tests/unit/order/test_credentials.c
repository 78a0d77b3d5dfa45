/* What is read of the bodies and headers of the OAuth endpoints, and how scopes narrow. */
#include "order/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static void assert_text(const char *actual, const char *expected) {
    if (expected) {
        assert_non_null(actual);
        assert_string_equal(actual, expected);
    } else {
        assert_null(actual);
    }
}

static const char *read_text(const char *type, const void *text, size_t len, struct buf *body,
                             struct oauth_params *params) {
    *params = (struct oauth_params){0};
    buf_append(body, text, len);
    return oauth_params_read(type, body, params);
}

static void parameters_are_read_from_forms_and_json(void **state) {
    (void)state;
    static const struct {
        const char *type, *body;
        struct oauth_params expected;
    } cases[] = {
        {FORM,
         "grant_type=client_credentials&client_id=a&client_secret=b&scope=x+y",
         {.grant_type = "client_credentials", .client_id = "a", .client_secret = "b", .scope = "x y"}},
        {FORM "; charset=UTF-8", "token=t", {.token = "t"}},
        {"Application/X-WWW-Form-Urlencoded", "token=t", {.token = "t"}},
        {FORM,
         "client_id=a%3Ab%2bc%20d%25&client_secret=%C3%A9",
         {.client_id = "a:b+c d%", .client_secret = "\xc3\xa9"}},
        {FORM, "%74oken=t", {.token = "t"}},
        {FORM, "token=a=b=", {.token = "a=b="}},
        {FORM, "&token=t&&", {.token = "t"}},
        {FORM, "token=&scope&client_id=a", {.client_id = "a"}},
        {FORM, "resource=x&foo&=5&token=t", {.token = "t"}},
        {FORM, "", {0}},
        {JSON,
         "{\"grant_type\":\"client_credentials\",\"client_id\":\"a\",\"client_secret\":\"b+%20\"}",
         {.grant_type = "client_credentials", .client_id = "a", .client_secret = "b+%20"}},
        {"application/json;charset=utf-8",
         "{\"token\":\"t\",\"other\":[1,{}],\"scope\":\"\"}",
         {.token = "t"}},
        {JSON, "{}", {0}},
    };
    for_each_row(i, cases, "%s: %s", cases[i].type, cases[i].body) {
        struct buf body = {0};
        struct oauth_params found;
        assert_text(read_text(cases[i].type, cases[i].body, strlen(cases[i].body), &body, &found), NULL);
        assert_text(found.grant_type, cases[i].expected.grant_type);
        assert_text(found.scope, cases[i].expected.scope);
        assert_text(found.client_id, cases[i].expected.client_id);
        assert_text(found.client_secret, cases[i].expected.client_secret);
        assert_text(found.token, cases[i].expected.token);
        oauth_params_free(&found);
        buf_free(&body);
    }
}

static void malformed_parameters_are_told(void **state) {
    (void)state;
#define TEXT(text) text, sizeof text - 1
    static const struct {
        const char *type, *body;
        size_t len;
        const char *reason; /* a part of it */
    } cases[] = {
        {FORM, TEXT("token=a&token=b"), "repeated"},
        {FORM, TEXT("token=&token=b"), "repeated"},
        {FORM, TEXT("x=a&y=b&x=a"), "repeated"},
        {FORM, TEXT("token=a&t%6fken=a"), "repeated"},
        {FORM, TEXT("token=%"), "escape"},
        {FORM, TEXT("token=%4"), "escape"},
        {FORM, TEXT("token=%4g"), "escape"},
        {FORM, TEXT("token=%00"), "escape"},
        {FORM, TEXT("%zz=a"), "escape"},
        {FORM, TEXT("token=a\0b"), "NUL"},
        {FORM, TEXT("a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&A&B&C&D&E&F&G"), "too many"},
        {JSON, TEXT("{\"token\":\"a\",\"token\":\"b\"}"), "once"},
        {JSON, TEXT("{\"token\":5}"), "not a string"},
        {JSON, TEXT("{\"client_secret\":null}"), "not a string"},
        {JSON, TEXT("{\"scope\":[\"order:read\"]}"), "not a string"},
        {JSON, TEXT("[]"), "JSON object"},
        {JSON, TEXT("token=t"), "JSON object"},
        {JSON, TEXT(""), "JSON object"},
        {"text/plain", TEXT("token=t"), "Send the body as"},
        {"application/jsonp", TEXT("{}"), "Send the body as"},
        {"multipart/form-data; boundary=x", TEXT("--x"), "Send the body as"},
        {"", TEXT("token=t"), "Send the body as"},
        {NULL, TEXT("token=t"), "Send the body as"},
    };
    for_each_row(i, cases, "%s: %s", cases[i].type, cases[i].body) {
        struct buf body = {0};
        struct oauth_params params;
        const char *fault = read_text(cases[i].type, cases[i].body, cases[i].len, &body, &params);
        if (!fault || !strstr(fault, cases[i].reason))
            fail_msg("'%s' gave: %s", cases[i].body, fault ? fault : "no fault");
        assert_null(strpbrk(fault, "\"\\")); /* fit for error_description */
        oauth_params_free(&params);
        buf_free(&body);
    }
}

static void basic_credentials_are_read(void **state) {
    (void)state;
    static const struct {
        const char *header, *id, *secret; /* id NULL: refused */
    } cases[] = {
        {"Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=", "demo-client", "demo-secret"},
        {"bAsIc  ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=", "demo-client", "demo-secret"},
        {"Basic YTo=", "a", ""},
        {"Basic OmI=", "", "b"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"Basic YSUzQWI6YyUyNSt4", "a:b", "c% x"}, /* a%3Ab:c%25+x */
        {"Basic YTpiJQ==", NULL, NULL},            /* a:b% */
        {"Basic YTpiJTAw", NULL, NULL},            /* a:b%00 */
        {"Basic YTpiAA==", NULL, NULL},            /* a NUL at the end */
        {"Basic YWI=", NULL, NULL},                /* no colon */
        {"Basic ", NULL, NULL},
        {"Basic", NULL, NULL},
        {"Basic YTpi YTpi", NULL, NULL},
        {"Basic YTpiY", NULL, NULL},
        {"Basic !!!!", NULL, NULL},
        {"Bearer ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=", NULL, NULL},
        {"", NULL, NULL},
    };
    for_each_row(i, cases, "%s", cases[i].header) {
        char *space = malloc(strlen(cases[i].header) + 1);
        const char *id = NULL, *secret = NULL;
        bool ok = basic_credentials(cases[i].header, space, &id, &secret);
        if (ok != (cases[i].id != NULL))
            fail_msg("'%s' was %s", cases[i].header, ok ? "accepted" : "refused");
        assert_text(id, cases[i].id);
        assert_text(secret, cases[i].secret);
        free(space);
    }
}

static void a_scope_is_narrowed_only(void **state) {
    (void)state;
    static const struct {
        const char *granted, *requested, *expected; /* NULL: refused */
    } cases[] = {
        {"order:create order:read", "order:read", "order:read"},
        {"order:create order:read", "order:read order:create", "order:read order:create"},
        {"order:create order:read", "  order:read   order:read ", "order:read"},
        {"order:read:all order:read", "order:read", "order:read"},
        {"order:read", "order:read:all", NULL},
        {"order:read", "order:read order:write", NULL},
        {"order:read", "ORDER:READ", NULL},
        {"order:read", "order", NULL},
        {"order:read", "order:read\torder:read", NULL},
        {"order:read", "", NULL},
        {"order:read", "   ", NULL},
        {"", "order:read", NULL},
        {SCOPES_KNOWN, SCOPES_KNOWN, SCOPES_KNOWN},
    };
    for_each_row(i, cases, "'%s' of '%s'", cases[i].requested, cases[i].granted) {
        char out[TOKEN_SCOPE_SIZE];
        bool ok = scope_narrow(cases[i].granted, cases[i].requested, out);
        if (ok != (cases[i].expected != NULL))
            fail_msg("'%s' of '%s' was %s", cases[i].requested, cases[i].granted,
                     ok ? "accepted" : "refused");
        if (ok)
            assert_string_equal(out, cases[i].expected);
    }
}

static void a_scope_that_does_not_fit_is_refused(void **state) {
    (void)state;
    char out[TOKEN_SCOPE_SIZE];
    struct buf scopes = {0};
    for (int i = 0; i < 64; i++)
        buf_printf(&scopes, "%sscope%02d", i ? " " : "", i);
    assert_int_equal(scopes.len, TOKEN_SCOPE_SIZE - 1);
    assert_true(scope_narrow(scopes.data, scopes.data, out));
    assert_string_equal(out, scopes.data);

    buf_str(&scopes, " x");
    assert_false(scope_narrow(scopes.data, scopes.data, out));

    memset(scopes.data, 'a', TOKEN_SCOPE_SIZE);
    scopes.data[TOKEN_SCOPE_SIZE] = '\0';
    assert_false(scope_narrow(scopes.data, scopes.data, out));
    buf_free(&scopes);
}

static void a_secret_has_its_hash(void **state) {
    (void)state;
    char hash[SECRET_HASH_SIZE];
    secret_hash("abc", hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_read_from_forms_and_json),
        cmocka_unit_test(malformed_parameters_are_told),
        cmocka_unit_test(basic_credentials_are_read),
        cmocka_unit_test(a_scope_is_narrowed_only),
        cmocka_unit_test(a_scope_that_does_not_fit_is_refused),
        cmocka_unit_test(a_secret_has_its_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
