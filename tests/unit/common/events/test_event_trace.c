/* How the trace of an event travels: from a row to a message, and from a message to what follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/events/consumer_trace.h"
#include "common/events/outbox_trace.h"
#include "fakes/no_collector.h"

#include <string.h>

#define SAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define UNSAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

static void a_row_becomes_two_attributes(void **state) {
    (void)state;
    static const char *const rows[] = {SAMPLED " a=1,b=2", UNSAMPLED, "anything", ""};
    struct outbox_trace trace;
    struct queue_entry entries[4] = {0};
    for (size_t i = 0; i < 4; i++)
        outbox_trace_begin(&trace, i, rows[i], &entries[i]);
    assert_string_equal(entries[0].traceparent, SAMPLED);
    assert_string_equal(entries[0].tracestate, "a=1,b=2");
    for (size_t i = 1; i < 4; i++) {
        assert_string_equal(entries[i].traceparent, rows[i]);
        assert_string_equal(entries[i].tracestate, "");
    }
    outbox_trace_end(&trace, NULL, entries, 4,
                     0); /* nothing is recorded, so nobody asks for the queue's name */
}

static void the_span_of_a_send_is_what_is_passed_on(void **state) {
    (void)state;
    struct outbox_trace trace;
    struct queue_entry entries[2] = {0};
    outbox_trace_begin(&trace, 0, SAMPLED " a=1", &entries[0]);
    outbox_trace_begin(&trace, 1, UNSAMPLED " a=1", &entries[1]);
    assert_memory_equal(entries[0].traceparent, SAMPLED, 36);
    assert_memory_not_equal(entries[0].traceparent + 36, SAMPLED + 36, 16);
    assert_string_equal(entries[0].traceparent, trace.spans[0].traceparent);
    assert_string_equal(entries[0].tracestate, "a=1");
    assert_string_equal(trace.spans[0].parent_id, "b7ad6b7169203331");
    assert_false(trace.spans[1].recorded);
    assert_string_equal(entries[1].traceparent, UNSAMPLED);
    assert_string_equal(entries[1].tracestate, "a=1");
}

static const struct queue_message arrived[] = {
    {.id = "1", .traceparent = SAMPLED, .tracestate = " a=1 ,b=2"},
    {.id = "2", .traceparent = UNSAMPLED, .tracestate = "a=1"},
    {.id = "3", .traceparent = "invalid", .tracestate = "a=1"},
    {.id = "4", .traceparent = "", .tracestate = ""},
    {.id = "5", .traceparent = SAMPLED, .tracestate = "BAD"},
};
enum { ARRIVED = sizeof arrived / sizeof *arrived };

static void begin(struct consumer_trace *trace, struct consumer_message messages[static ARRIVED]) {
    for (size_t i = 0; i < ARRIVED; i++)
        messages[i] = (struct consumer_message){.message = &arrived[i]};
    consumer_trace_begin(trace, "q.fifo", 1, messages, ARRIVED);
}

static void without_a_collector_a_trace_is_passed_on_as_it_came(void **state) {
    (void)state;
    struct consumer_trace trace;
    struct consumer_message messages[ARRIVED];
    begin(&trace, messages);
    assert_string_equal(messages[0].trace, SAMPLED " a=1,b=2");
    assert_string_equal(messages[1].trace, UNSAMPLED " a=1");
    assert_string_equal(messages[2].trace, "");
    assert_string_equal(messages[3].trace, "");
    assert_string_equal(messages[4].trace, SAMPLED);
    assert_string_equal(trace.receive, "");
    consumer_trace_end(&trace, messages, ARRIVED);
}

static void the_span_of_a_message_is_the_parent_of_what_follows(void **state) {
    (void)state;
    struct consumer_trace trace;
    struct consumer_message messages[ARRIVED];
    struct span span;
    begin(&trace, messages);
    assert_memory_equal(messages[0].trace, SAMPLED, 36);
    assert_memory_not_equal(messages[0].trace + 36, SAMPLED + 36, 16);
    assert_string_equal(trace_state(messages[0].trace), "a=1,b=2");
    assert_string_equal(messages[1].trace, UNSAMPLED " a=1");
    for (size_t i = 2; i < 4; i++) { /* new traces */
        assert_true(trace_is_recorded(messages[i].trace));
        assert_string_equal(trace_state(messages[i].trace), "");
        assert_string_equal(trace.spans[i].parent_id, "");
    }
    assert_true(trace_is_recorded(trace.receive));

    consumer_trace_apply(&span, &messages[1], ARRIVED - 1);
    assert_memory_equal(span.traceparent, messages[2].trace, 36); /* the first that is recorded */
    assert_string_equal(trace_current(), span.traceparent);
    consumer_trace_applied(&span, "test", &messages[1], ARRIVED - 1, DB_OK);
    assert_null(trace_current());
    consumer_trace_end(&trace, messages, ARRIVED);
    for (size_t i = 0; i < ARRIVED; i++)
        assert_false(trace.spans[i].recorded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_becomes_two_attributes),
        cmocka_unit_test_setup_teardown(the_span_of_a_send_is_what_is_passed_on, no_collector_start,
                                        no_collector_stop),
        cmocka_unit_test(without_a_collector_a_trace_is_passed_on_as_it_came),
        cmocka_unit_test_setup_teardown(the_span_of_a_message_is_the_parent_of_what_follows,
                                        no_collector_start, no_collector_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
