/* What a worker makes of a batch: who is answered what, and that nobody fails for a neighbour. The routes and the
 * connections are made up. */
#include "common/http/private.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/captured_log.h"
#include "fakes/fake_exchanges.h"

enum { PATIENCE_MS = 1000 };

/* What run makes of a request, by its fate in the command. */
enum fate { GOOD, BAD, FORGOTTEN, SHORT };
static enum outcome of_bad;    /* of a batch with a bad request */
static bool keeps_answers;     /* when that fails, the good ones before it are answered all the same */
static int64_t alone_takes_ms; /* to run one request */
static struct http_worker *worker = (struct http_worker *)&trace;

static enum outcome run(struct http_worker *w, struct http_request *requests[], size_t n) {
    enum outcome outcome = OUTCOME_DONE;
    assert_ptr_equal(w, worker);
    buf_str(&trace, "run ");
    for (size_t i = 0; i < n; i++) {
        buf_char(&trace, requests[i]->request_id[0]);
        if (*(enum fate *)requests[i]->command == BAD)
            outcome = of_bad;
    }
    buf_str(&trace, "; ");
    if (n == 1)
        clock_sleep_ms(alone_takes_ms);
    for (size_t i = 0; i < n && (outcome == OUTCOME_DONE || keeps_answers); i++) {
        enum fate fate = *(enum fate *)requests[i]->command;
        if (fate == BAD && outcome != OUTCOME_DONE)
            break;
        if (fate == SHORT)
            requests[i]->arena.failed = true;
        else if (fate != FORGOTTEN)
            http_reply_empty(requests[i], 200);
    }
    return outcome;
}

static const char *worker_error(const struct http_worker *w) {
    assert_ptr_equal(w, worker);
    return "the last failure";
}

enum { QUEUED = 1 };

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/other", .run = run},
    [QUEUED] = {.method = "POST", .pattern = "/queued", .run = run},
    {0},
};

static atomic_ullong unserved;
static struct http_outage outages[2];
static struct http_server server = {.options = {.queue_timeout_ms = PATIENCE_MS,
                                                .routes = routes,
                                                .worker_error = worker_error,
                                                .unserved = &unserved},
                                    .outages = outages};

static enum fate fates[FAKE_REQUESTS];

static int set_up(void **state) {
    (void)state;
    keeps_answers = false;
    alone_takes_ms = 0;
    atomic_store(&server.expired, false);
    atomic_store(&unserved, 0);
    outages[QUEUED].outage = (struct outage){.name = "database for POST /queued"};
    fake_exchanges_begin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fake_exchanges_end();
    return 0;
}

/* Runs a batch with a request for each fate, which have waited for waited_ms[i] (NULL: for nothing). Returns the
 * statuses of their answers: "200 503 "; 0 for one that was not answered. */
static const char *run_batch(const enum fate *of, size_t n, const int64_t *waited_ms) {
    static char statuses[64];
    struct batch_item *items[FAKE_REQUESTS];
    for (size_t i = 0; i < n; i++) {
        struct http_exchange *x = &exchanges[i];
        fates[i] = of[i];
        x->server = &server;
        x->request.route = &routes[QUEUED];
        x->request.request_id[0] = (char)('a' + i);
        x->request.command = &fates[i];
        x->item.queued_ms = clock_mono_ms() - (waited_ms ? waited_ms[i] : 0);
        items[i] = &x->item;
    }
    http_run_batch(&server, QUEUED, worker, items, n);
    *statuses = '\0';
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(resumed[i], 1); /* exactly once, whatever came of it */
        snprintf(statuses + strlen(statuses), sizeof statuses - strlen(statuses), "%u ",
                 exchanges[i].request.reply.status);
    }
    return statuses;
}

static void a_batch_is_run_as_a_whole(void **state) {
    (void)state;
    static const enum fate good[] = {GOOD, GOOD, GOOD};
    capture_begin();
    assert_string_equal(run_batch(good, 3, NULL), "200 200 200 ");
    assert_int_equal(count_lines(capture_end()), 0);
    assert_string_equal(trace.data, "run abc; ");
}

static void any_request_of_it_lets_the_next_one_begin(void **state) {
    (void)state;
    http_let_next(&exchanges[1].request);
    assert_ptr_equal(let_by, &exchanges[1].item);
}

static void what_waited_too_long_is_not_run(void **state) {
    (void)state;
    static const enum fate good[] = {GOOD, GOOD, GOOD};
    static const int64_t waited[] = {PATIENCE_MS + 500, 0, PATIENCE_MS + 1};
    assert_string_equal(run_batch(good, 3, waited), "503 200 503 ");
    assert_string_equal(trace.data, "run b; ");
    assert_problem(&exchanges[0].request, 503, "OVERLOADED");
}

static void a_batch_that_waited_too_long_as_a_whole_is_not_run(void **state) {
    (void)state;
    static const enum fate good[] = {GOOD, GOOD};
    static const int64_t waited[] = {PATIENCE_MS + 500, PATIENCE_MS + 500};
    assert_string_equal(run_batch(good, 2, waited), "503 503 ");
    assert_string_equal(trace.data, "");
}

static void after_the_deadline_of_the_stop_nothing_is_run(void **state) {
    (void)state;
    static const enum fate good[] = {GOOD, GOOD};
    atomic_store(&server.expired, true);
    assert_string_equal(run_batch(good, 2, NULL), "503 503 ");
    assert_string_equal(trace.data, "");
    assert_problem(&exchanges[1].request, 503, "OVERLOADED");
}

/* One of three is bad, and spoils the batch with this outcome. */
static void spoil(enum outcome outcome, unsigned status, const char *code, const char *line) {
    static const enum fate with_bad[] = {GOOD, BAD, GOOD};
    char expected[32];
    of_bad = outcome;
    capture_begin();
    const char *statuses = run_batch(with_bad, 3, NULL);
    (void)capture_end();
    assert_non_null(strstr(captured, line));
    snprintf(expected, sizeof expected, "200 %u 200 ", status);
    assert_string_equal(statuses, expected);
    assert_problem(&exchanges[1].request, status, code);
    assert_string_equal(trace.data, "run abc; run a; run b; run c; ");
}

static void a_refused_request_does_not_fail_its_neighbours(void **state) {
    (void)state;
    spoil(OUTCOME_REFUSED, 500, "INTERNAL_ERROR",
          "POST /queued: 1 request(s) failed: the last failure\",\"request_id\":\"b\"");
    assert_int_equal(count_lines(captured), 1);
}

static void a_busy_request_does_not_fail_its_neighbours(void **state) {
    (void)state;
    spoil(OUTCOME_BUSY, 503, "UNAVAILABLE",
          "database for POST /queued is unavailable: the last failure (request b)");
}

static void a_bad_request_that_is_alone_is_not_run_again(void **state) {
    (void)state;
    static const enum fate bad[] = {BAD};
    of_bad = OUTCOME_REFUSED;
    capture_begin();
    const char *statuses = run_batch(bad, 1, NULL);
    (void)capture_end();
    assert_string_equal(statuses, "500 ");
    assert_string_equal(trace.data, "run a; ");
}

static void what_a_failed_batch_answered_is_not_run_again(void **state) {
    (void)state;
    static const enum fate with_bad[] = {GOOD, BAD, GOOD};
    of_bad = OUTCOME_BUSY;
    keeps_answers = true;
    capture_begin();
    const char *statuses = run_batch(with_bad, 3, NULL);
    (void)capture_end();
    assert_string_equal(statuses, "200 503 200 ");
    assert_string_equal(trace.data, "run abc; run b; run c; ");
}

/* Each may wait for the same lock. */
static void requests_are_not_tried_again_for_ever(void **state) {
    (void)state;
    static const enum fate bad[] = {BAD, BAD, BAD, BAD};
    of_bad = OUTCOME_BUSY;
    alone_takes_ms = 2600;
    capture_begin();
    const char *statuses = run_batch(bad, 4, NULL);
    assert_int_equal(count_lines(capture_end()), 1); /* of the outage */
    assert_int_equal(atomic_load(&outages[QUEUED].outage.failures), 4);
    assert_string_equal(statuses, "503 503 503 503 ");
    assert_string_equal(trace.data, "run abcd; run a; run b; ");
    assert_problem(&exchanges[3].request, 503, "UNAVAILABLE");
}

static void what_is_left_unanswered_is_a_fault_of_ours(void **state) {
    (void)state;
    static const enum fate forgotten[] = {GOOD, FORGOTTEN, FORGOTTEN};
    capture_begin();
    const char *statuses = run_batch(forgotten, 3, NULL);
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(strstr(captured, "2 request(s) failed: the handler gave no answer"));
    assert_string_equal(statuses, "200 500 500 ");
    assert_string_equal(trace.data, "run abc; ");
    assert_problem(&exchanges[2].request, 500, "INTERNAL_ERROR");
}

static void an_outage_answers_all_that_are_unanswered(void **state) {
    (void)state;
    static const enum fate with_bad[] = {GOOD, BAD, GOOD};
    of_bad = OUTCOME_UNAVAILABLE;
    keeps_answers = true;
    capture_begin();
    const char *statuses = run_batch(with_bad, 3, NULL);
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(
        strstr(captured, "database for POST /queued is unavailable: the last failure (request b)"));
    assert_int_equal(atomic_load(&unserved), 2);
    assert_string_equal(statuses, "200 503 503 ");
    assert_string_equal(trace.data, "run abc; "); /* it would fail again */
    assert_problem(&exchanges[1].request, 503, "UNAVAILABLE");
}

static void an_outage_is_one_line_and_its_end_another(void **state) {
    (void)state;
    static const enum fate bad[] = {BAD, BAD}, good[] = {GOOD, GOOD};
    of_bad = OUTCOME_UNAVAILABLE;
    capture_begin();
    for (int i = 0; i < 50; i++) {
        (void)run_batch(bad, 2, NULL);
        fake_exchanges_end();
        fake_exchanges_begin();
    }
    assert_int_equal(count_lines(capture_end()), 1);
    capture_begin();
    assert_string_equal(run_batch(good, 2, NULL), "200 200 ");
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(strstr(captured, "database for POST /queued is available again after"));
    assert_non_null(strstr(captured, "100 failure(s)"));
}

static void a_fault_of_ours_is_not_tried_again(void **state) {
    (void)state;
    static const enum fate bad[] = {GOOD, BAD};
    of_bad = OUTCOME_FAILED;
    capture_begin();
    const char *statuses = run_batch(bad, 2, NULL);
    (void)capture_end();
    assert_string_equal(statuses, "500 500 ");
    assert_string_equal(trace.data, "run ab; ");
}

static void a_worker_without_memory_answers_503(void **state) {
    (void)state;
    static const enum fate bad[] = {GOOD, BAD};
    of_bad = OUTCOME_NO_MEMORY;
    capture_begin();
    const char *statuses = run_batch(bad, 2, NULL);
    (void)capture_end();
    assert_string_equal(statuses, "0 0 ");
    for (size_t i = 0; i < 2; i++) {
        http_reply_shortage(&exchanges[i].request);
        assert_problem(&exchanges[i].request, 503, "UNAVAILABLE");
    }
}

static void a_request_without_memory_harms_no_neighbour(void **state) {
    (void)state;
    static const enum fate fate[] = {GOOD, SHORT, GOOD};
    assert_string_equal(run_batch(fate, 3, NULL), "200 0 200 ");
    http_reply_shortage(&exchanges[1].request);
    assert_problem(&exchanges[1].request, 503, "UNAVAILABLE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    log_setup("test", LOG_INFO, LOG_JSON);
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_run_as_a_whole),
        TEST(any_request_of_it_lets_the_next_one_begin),
        TEST(what_waited_too_long_is_not_run),
        TEST(a_batch_that_waited_too_long_as_a_whole_is_not_run),
        TEST(after_the_deadline_of_the_stop_nothing_is_run),
        TEST(a_refused_request_does_not_fail_its_neighbours),
        TEST(a_busy_request_does_not_fail_its_neighbours),
        TEST(a_bad_request_that_is_alone_is_not_run_again),
        TEST(what_a_failed_batch_answered_is_not_run_again),
        TEST(requests_are_not_tried_again_for_ever),
        TEST(what_is_left_unanswered_is_a_fault_of_ours),
        TEST(an_outage_answers_all_that_are_unanswered),
        TEST(an_outage_is_one_line_and_its_end_another),
        TEST(a_fault_of_ours_is_not_tried_again),
        TEST(a_worker_without_memory_answers_503),
        TEST(a_request_without_memory_harms_no_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
