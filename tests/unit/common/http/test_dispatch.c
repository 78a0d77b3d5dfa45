/* What happens to a request on the HTTP thread, and in which order. The lanes, the connections, the guard and the routes
 * are made up. */
#include "common/http/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/fake_exchanges.h"

static bool guard_passes;

static bool guard(void *cls, struct http_request *request) {
    (void)cls;
    note("guard");
    if (!guard_passes)
        http_reply_problem(request, PROBLEM_UNAUTHORIZED, "Nobody");
    return guard_passes;
}

static void prepare(struct http_request *request) {
    note("prepare");
    assert_string_equal(request->body.data, "body");
    request->command = request;
}

static void prepare_and_answer(struct http_request *request) {
    note("prepare");
    http_reply_empty(request, 204);
}

static void prepare_without_memory(struct http_request *request) {
    note("prepare");
    request->arena.failed = true;
}

static void prepare_nothing(struct http_request *request) {
    (void)request;
    note("prepare");
}

static enum outcome run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    (void)worker, (void)requests, (void)n;
    return OUTCOME_FAILED; /* not on this thread */
}

enum { OPEN, QUEUED, ANSWERING, AT_ONCE, SHORT_OF_MEMORY, WITH_BODY };
static const struct http_route routes[] = {
    [OPEN] = {.method = "GET", .pattern = "/open", .prepare = prepare_nothing, .run = run},
    [QUEUED] = {.method = "POST", .pattern = "/queued", .scope = "s", .prepare = prepare, .run = run},
    [ANSWERING] = {.method = "GET", .pattern = "/a", .scope = "s", .prepare = prepare_and_answer, .run = run},
    [AT_ONCE] = {.method = "GET", .pattern = "/b", .scope = "s", .prepare = prepare_nothing},
    [SHORT_OF_MEMORY] =
        {.method = "GET", .pattern = "/c", .scope = "s", .prepare = prepare_without_memory, .run = run},
    [WITH_BODY] =
        {.method = "POST", .pattern = "/d", .scope = "s", .body_limit = 100, .prepare = prepare_and_answer},
    {0},
};

static struct http_server server = {.options = {.routes = routes, .guard = guard}};

static int set_up(void **state) {
    (void)state;
    guard_passes = true;
    fake_exchanges_begin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fake_exchanges_end();
    return 0;
}

static struct http_exchange *arrive(size_t route) {
    struct http_exchange *x = &exchanges[0];
    x->server = &server;
    x->request.route = &routes[route];
    strcpy(x->request.request_id, "a");
    buf_str(&x->request.body, "body");
    return x;
}

/* From the head to the end of a request. */
static bool process(struct http_exchange *x) {
    http_admit(x);
    return http_dispatch(x);
}

static void a_request_is_suspended_before_it_is_queued(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    assert_true(process(x));
    assert_string_equal(trace.data, "room 1; guard; within; prepare; reserve 1; suspend; push 1; ");
    assert_ptr_equal(pushed, &x->item);
    assert_int_equal(x->request.reply.status, 0);
    assert_ptr_equal(x->request.command, &x->request);
    assert_null(x->request.body.data); /* prepare has read it */
}

static void the_guard_comes_before_the_encoding_of_the_body(void **state) {
    (void)state;
    assert_false(process(arrive(WITH_BODY)));
    assert_string_equal(trace.data, "guard; within; plain; prepare; ");
}

static void a_full_lane_refuses_before_the_guard(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    has_room = false;
    assert_false(process(x));
    assert_string_equal(trace.data, "room 1; ");
    assert_problem(&x->request, 503, "OVERLOADED");
    assert_string_equal(x->request.reply.headers[0].name, "Retry-After");
}

static void a_lane_that_fills_up_meanwhile_refuses(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    reserves = false;
    assert_false(process(x));
    assert_string_equal(trace.data, "room 1; guard; within; prepare; reserve 1; ");
    assert_problem(&x->request, 503, "OVERLOADED");
}

static void whom_the_guard_refuses_is_not_prepared(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    guard_passes = false;
    assert_false(process(x));
    assert_string_equal(trace.data, "room 1; guard; ");
    assert_problem(&x->request, 401, "UNAUTHORIZED");
}

static void who_is_beyond_its_quota_is_not_prepared(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    within = false;
    assert_false(process(x));
    assert_string_equal(trace.data, "room 1; guard; within; ");
    assert_problem(&x->request, 429, "RATE_LIMITED");
}

static void an_open_route_has_no_guard(void **state) {
    (void)state;
    guard_passes = within = false;
    assert_true(process(arrive(OPEN)));
    assert_string_equal(trace.data, "room 0; prepare; reserve 0; suspend; push 0; ");
}

static void what_prepare_answers_is_not_queued(void **state) {
    (void)state;
    struct http_exchange *x = arrive(ANSWERING);
    assert_false(process(x));
    assert_string_equal(trace.data, "room 2; guard; within; prepare; ");
    assert_int_equal(x->request.reply.status, 204);
}

static void a_route_without_run_needs_no_lane(void **state) {
    (void)state;
    has_room = false;
    assert_false(process(arrive(AT_ONCE)));
    assert_string_equal(trace.data, "guard; within; prepare; ");
}

static void what_was_answered_before_is_left_alone(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    http_reply_empty(&x->request, 404);
    assert_false(process(x));
    assert_string_equal(trace.data, "");
    assert_int_equal(x->request.reply.status, 404);
}

static void a_body_without_memory_is_not_prepared(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    x->request.arena.failed = true;
    assert_false(process(x));
    assert_string_equal(trace.data, "");
    http_reply_shortage(&x->request);
    assert_problem(&x->request, 503, "UNAVAILABLE");
}

static void a_prepare_without_memory_is_not_queued(void **state) {
    (void)state;
    struct http_exchange *x = arrive(SHORT_OF_MEMORY);
    assert_false(process(x));
    assert_string_equal(trace.data, "room 4; guard; within; prepare; ");
    assert_int_equal(x->request.reply.status, 0);
    http_reply_shortage(&x->request);
    assert_problem(&x->request, 503, "UNAVAILABLE");
}

static void a_reply_without_memory_becomes_a_503(void **state) {
    (void)state;
    struct http_exchange *x = arrive(QUEUED);
    struct buf body = {0};
    buf_str(&body, "{}");
    http_reply_json(&x->request, 200, &body);
    http_reply_shortage(&x->request);
    assert_int_equal(x->request.reply.status, 200); /* nothing was short */
    x->request.arena.failed = true;
    http_reply_shortage(&x->request);
    assert_problem(&x->request, 503, "UNAVAILABLE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_suspended_before_it_is_queued),
        TEST(a_full_lane_refuses_before_the_guard),
        TEST(a_lane_that_fills_up_meanwhile_refuses),
        TEST(whom_the_guard_refuses_is_not_prepared),
        TEST(who_is_beyond_its_quota_is_not_prepared),
        TEST(an_open_route_has_no_guard),
        TEST(what_prepare_answers_is_not_queued),
        TEST(a_route_without_run_needs_no_lane),
        TEST(what_was_answered_before_is_left_alone),
        TEST(a_body_without_memory_is_not_prepared),
        TEST(a_prepare_without_memory_is_not_queued),
        TEST(a_reply_without_memory_becomes_a_503),
        TEST(the_guard_comes_before_the_encoding_of_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
