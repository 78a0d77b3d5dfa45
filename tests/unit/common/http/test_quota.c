/* What a client is told of its limits, and when it is refused. */
#include "common/http/private.h"

#include "fakes/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static const struct limit_policy client = {"client", 1000, 1}, orders = {"orders", 600, 60};

static void no_limit_says_nothing(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_true(http_within(&request, (struct limit_state){0}));
    http_reply_empty(&request, 204);
    http_limit_fields(&request);
    assert_int_equal(request.reply.header_count, 0);
    fake_end(&request);
}

static void every_limit_is_told_with_the_answer(void **state) {
    (void)state;
    struct http_request request = {0};
    assert_true(http_within(&request, (struct limit_state){.policy = &client, .left = 999, .wait_ms = 1}));
    assert_true(http_within(&request, (struct limit_state){.policy = &orders, .left = 0, .wait_ms = 2001}));
    assert_int_equal(request.reply.status, 0);
    http_reply_empty(&request, 304);
    http_limit_fields(&request);
    assert_string_equal(fake_reply_header(&request, "RateLimit-Policy"),
                        "\"client\";q=1000;w=1, \"orders\";q=600;w=60");
    assert_string_equal(fake_reply_header(&request, "RateLimit"), "\"client\";r=999;t=1, \"orders\";r=0;t=3");
    assert_null(fake_reply_header(&request, "Retry-After"));
    fake_end(&request);
}

static void a_refusal_names_the_limit_and_when_to_come_back(void **state) {
    (void)state;
    struct http_request request = {.request_id = "r-1"};
    assert_false(
        http_within(&request, (struct limit_state){.policy = &orders, .refused = true, .wait_ms = 41000}));
    http_limit_fields(&request);
    assert_int_equal(request.reply.status, 429);
    assert_string_equal(request.reply.content_type, "application/problem+json");
    assert_string_equal(
        request.reply.body.data,
        "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\","
        "\"title\":\"Request cannot be satisfied as assigned quota has been exceeded\","
        "\"status\":429,\"detail\":\"The limit 'orders' is reached: 600 in 60 s\","
        "\"error\":\"RATE_LIMITED\",\"message\":\"The limit 'orders' is reached: 600 in 60 s\","
        "\"violated-policies\":[\"orders\"],\"request_id\":\"r-1\"}");
    assert_string_equal(fake_reply_header(&request, "RateLimit"), "\"orders\";r=0;t=41");
    fake_end(&request);
}

/* Those who are refused together must not come back together, and nobody too early. */
static void the_return_is_jittered(void **state) {
    (void)state;
    bool seen[60] = {false};
    for (int i = 0; i < 1000; i++) {
        struct http_request request = {0};
        assert_false(http_within(&request,
                                 (struct limit_state){.policy = &orders, .refused = true, .wait_ms = 40000}));
        long seconds = strtol(fake_reply_header(&request, "Retry-After"), NULL, 10);
        assert_in_range(seconds, 40, 51);
        seen[seconds] = true;
        fake_end(&request);
    }
    for (int seconds = 40; seconds <= 51; seconds++)
        assert_true(seen[seconds]);
}

static void what_is_reserved_and_not_spent_is_given_back(void **state) {
    (void)state;
    struct limit *limit = limit_new(&(struct limit_policy){"orders", 2, 60});
    assert_non_null(limit);
    const char *left[] = {"\"orders\";r=2;t=30", "\"orders\";r=1;t=30", "\"orders\";r=1;t=30",
                          "\"orders\";r=0;t=30"};
    for (size_t i = 0; i < 4; i++) {
        struct http_request request = {0};
        assert_true(http_reserve(&request, limit, "a", 1));
        if (i % 2)
            http_spend(&request);
        http_settle(&request);
        http_settle(&request); /* once only */
        http_reply_empty(&request, 204);
        http_limit_fields(&request);
        assert_string_equal(fake_reply_header(&request, "RateLimit"), left[i]);
        fake_end(&request);
    }
    struct http_request replay = {0}, refused = {0};
    assert_false(http_reserve(&replay, limit, "a", 1));
    http_settle(&replay);
    http_reply_empty(&replay, 204);
    http_limit_fields(&replay);
    assert_string_equal(fake_reply_header(&replay, "RateLimit"), left[3]);
    assert_false(http_reserve(&refused, limit, "a", 1));
    http_refuse_reserved(&refused);
    http_settle(&refused);
    assert_int_equal(refused.reply.status, 429);
    assert_int_equal(refused.limit_count, 1);
    fake_end(&replay);
    fake_end(&refused);
    limit_free(limit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_says_nothing),
        cmocka_unit_test(every_limit_is_told_with_the_answer),
        cmocka_unit_test(a_refusal_names_the_limit_and_when_to_come_back),
        cmocka_unit_test(the_return_is_jittered),
        cmocka_unit_test(what_is_reserved_and_not_spent_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
