/* The span of a batch: whose trace it is in, and which requests are linked with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/trace.h"
#include "common/http/trace.h"
#include "fakes/no_collector.h"

#include <string.h>

#define PARENT(flags) "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" flags

static struct http_exchange exchanges[3];
static struct http_request *requests[3];

static void arrive(size_t i, const char *traceparent) {
    exchanges[i] = (struct http_exchange){0};
    requests[i] = &exchanges[i].request;
    span_enter(&exchanges[i].span, SPAN_SERVER, traceparent);
    memcpy(requests[i]->traceparent, exchanges[i].span.traceparent, TRACEPARENT_SIZE);
}

static const struct http_route route = {.method = "POST", .pattern = "/orders"};

static void the_first_recorded_request_is_the_parent(void **state) {
    (void)state;
    struct span span;
    arrive(0, PARENT("00"));
    arrive(1, PARENT("01"));
    arrive(2, NULL);
    http_trace_batch(&span, requests, 3);
    assert_true(span.recorded);
    assert_memory_equal(span.traceparent, requests[1]->traceparent, 36);
    assert_memory_equal(span.parent_id, requests[1]->traceparent + 36, 16);
    assert_string_equal(exchanges[0].batch, "");
    assert_string_equal(exchanges[1].batch, "");
    assert_string_equal(exchanges[2].batch, span.traceparent);
    assert_string_equal(trace_current(), span.traceparent); /* for the log */
    http_trace_batch_end(&span, &route, requests, 3, OUTCOME_DONE);
    assert_false(span.recorded);
    assert_null(trace_current());
}

static void a_batch_without_recorded_requests_has_no_span(void **state) {
    (void)state;
    struct span span;
    arrive(0, PARENT("00"));
    arrive(1, PARENT("00"));
    http_trace_batch(&span, requests, 2);
    assert_false(span.recorded);
    assert_null(trace_current());
    http_trace_batch_end(&span, &route, requests, 2, OUTCOME_FAILED);
    http_trace_queued(&exchanges[0]);
    http_trace_taken(&exchanges[0]);
    assert_int_equal(exchanges[0].queued_ns, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_recorded_request_is_the_parent, no_collector_start,
                                        no_collector_stop),
        cmocka_unit_test_setup_teardown(a_batch_without_recorded_requests_has_no_span, no_collector_start,
                                        no_collector_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
