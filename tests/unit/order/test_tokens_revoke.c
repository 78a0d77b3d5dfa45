/* POST /auth/revoke: which tokens are revoked, and what becomes of them (RFC 7009). */
#include "common/service/worker.h"
#include "fakes/token_endpoints.h"

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The answer to a revocation of the form, by the client: the status, and "" or the error. */
static unsigned revoke(const char *form, const char *basic, char error[static 32]) {
    struct http_request request = {.app = &app, .request_id = "r-1"}, *batch[] = {&request};
    struct http_worker worker = {.app = &app, .db = db_open(&(struct db_options){0})};
    *error = '\0';
    fake_request_header("Content-Type", FORM);
    fake_request_header("Authorization", basic);
    buf_str(&request.body, form);
    tokens_revoke_prepare(&request);
    if (!request.reply.status)
        assert_int_equal(tokens_revoke_run(&worker, batch, 1), db_outcome(store_status));
    db_close(worker.db);
    json_t *answer =
        json_loadb(request.reply.body.data ? request.reply.body.data : "", request.reply.body.len, 0, NULL);
    if (answer)
        snprintf(error, 32, "%s", text(answer, "error"));
    json_decref(answer);
    unsigned status = request.reply.status;
    fake_end(&request);
    return status;
}

static void a_token_is_revoked(void **state) {
    (void)state;
    struct token_claims claims;
    char form[TOKEN_MAX_SIZE], error[32];
    form_of_token(form, "shop", "&token_type_hint=refresh_token", &claims);
    stored_count = known_count = wakes = 0;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_string_equal(error, "");
    assert_int_equal(stored_count, 1);
    assert_int_equal(uuid_compare(&stored.token_id, &claims.id), 0);
    assert_int_equal(stored.expires_at, claims.expires_at);
    assert_int_equal(stored.issued_ms, uuid_time_ms(&claims.id));
    assert_int_equal(known_count, 1);
    assert_int_equal(uuid_compare(&known[0].token_id, &claims.id), 0);
    assert_int_equal(wakes, 1);

    store_status = DB_UNAVAILABLE; /* then nobody says that it is revoked */
    assert_int_equal(revoke(form, SHOP_BASIC, error), 0);
    assert_int_equal(known_count, 1);
    store_status = DB_OK;
    verdict = TOKEN_UNDECIDED;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 503);
    stored_count = 0;
    verdict = TOKEN_REVOKED; /* the database may have lost it */
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    verdict = TOKEN_OK;
    assert_int_equal(stored_count, 1);
}

/* However many a client has revoked, a revocation is never refused. */
static void a_client_that_revoked_too_many_loses_its_oldest(void **state) {
    (void)state;
    struct token_claims claims;
    char form[TOKEN_MAX_SIZE], error[32];
    form_of_token(form, "shop", "", &claims);
    ended_count = 0;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_int_equal(ended_count, 0);
    crowded = true;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended[0].before_ms, 1000);
    assert_int_equal(trim_keep, REVOCATIONS_SHARE / 2);
    full = true;
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_int_equal(ended_count, 2);
    assert_int_equal(trim_keep, 0);
    trim_status = DB_UNAVAILABLE; /* the revocation itself is committed */
    assert_int_equal(revoke(form, SHOP_BASIC, error), 200);
    assert_int_equal(ended_count, 2);
    trim_status = DB_OK;
    crowded = full = false;
}

static void an_administrator_revokes_tokens_of_others(void **state) {
    (void)state;
    struct token_claims claims;
    char form[TOKEN_MAX_SIZE], error[32];
    form_of_token(form, "shop", "", &claims);
    stored_count = 0;
    assert_int_equal(revoke(form, OTHER_BASIC, error), 400);
    assert_string_equal(error, "invalid_grant");
    assert_int_equal(stored_count, 0);
    assert_int_equal(revoke(form, INSPECTOR_BASIC, error), 200);
    assert_int_equal(stored_count, 1);
    assert_int_equal(uuid_compare(&stored.token_id, &claims.id), 0);
}

static void what_cannot_be_revoked_is_not_stored(void **state) {
    (void)state;
    struct token_claims claims;
    int64_t now = clock_epoch_ms() / 1000;
    char *good = token_issue(app.service.auth.keys, "shop", "order:read", now, &claims);
    char *expired = token_issue(app.service.auth.keys, "shop", "order:read", 1000, &claims);
    char *others = token_issue(app.service.auth.keys, "other", "order:read", now, &claims);
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
    for_each_row(i, cases, "%u %s", cases[i].status, cases[i].error) {
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_revoked),
        cmocka_unit_test(a_client_that_revoked_too_many_loses_its_oldest),
        cmocka_unit_test(an_administrator_revokes_tokens_of_others),
        cmocka_unit_test(what_cannot_be_revoked_is_not_stored),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
