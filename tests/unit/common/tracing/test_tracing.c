/* Spans from their begin to a collector, which may be well, refuse, hang or be gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/metrics/metrics.h"
#include "common/tracing/tracing.h"
#include "fakes/captured_log.h"
#include "fakes/collector.h"

#define SAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define UNSAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

static struct tracing_options options_for(const char *endpoint) {
    return (struct tracing_options){.endpoint = endpoint,
                                    .traces_endpoint = "",
                                    .timeout_ms = 60000,
                                    .service = "test",
                                    .resource = "",
                                    .ratio = "1.0",
                                    .pause_ms = 5,
                                    .retry_ms = 5};
}

static void start(const struct tracing_options *options) {
    assert_true(metrics_start());
    assert_true(tracing_start(options));
}

/* The number of spans with this outcome. */
static unsigned long counted(const char *outcome) {
    struct buf text = {0};
    char name[64];
    snprintf(name, sizeof name, "\norders_spans_total{outcome=\"%s\"} ", outcome);
    metrics_write(&text, METRICS_PROMETHEUS);
    const char *at = strstr(text.data, name);
    assert_non_null(at);
    unsigned long count = strtoul(at + strlen(name), NULL, 10);
    buf_free(&text);
    return count;
}

static void await_count(const char *outcome, unsigned long count) {
    while (counted(outcome) < count)
        clock_sleep_ms(1);
    assert_int_equal(counted(outcome), count);
}

static void stop(void) {
    tracing_stop(60000);
    metrics_stop();
}

static void emit(size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct span span;
        span_enter(&span, SPAN_SERVER, SAMPLED);
        span_end(&span, &(struct span_details){.name = "GET /x"});
    }
}

static void without_an_endpoint_nothing_happens(void **state) {
    (void)state;
    struct tracing_options options = options_for("");
    struct span span, child;
    char out[TRACE_SIZE];
    assert_true(tracing_start(&options));
    assert_false(tracing_is_on());
    span_enter(&span, SPAN_SERVER, UNSAMPLED);
    assert_false(span.recorded);
    assert_string_equal(span.traceparent, UNSAMPLED);
    span_enter(&span, SPAN_SERVER, SAMPLED);
    assert_false(span.recorded);
    assert_string_equal(span.traceparent, SAMPLED);
    span_begin(&child, SPAN_INTERNAL, span.traceparent);
    assert_false(child.recorded);
    assert_ptr_equal(span_trace(&child, "otherwise", out), "otherwise");
    span_end(&child, &(struct span_details){.name = "x"});
    span_root("x", out);
    assert_true(trace_valid(out));
    tracing_stop(0);

    options = options_for("http://127.0.0.1:1");
    options.disabled = true;
    assert_true(tracing_start(&options));
    assert_false(tracing_is_on());
}

static void a_span_continues_the_trace_of_its_parent(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, 200);
    struct tracing_options options = options_for(collector.url);
    struct span span, child, other;
    char out[TRACE_SIZE];
    start(&options);
    span_enter(&span, SPAN_SERVER, SAMPLED);
    assert_true(span.recorded && span.remote);
    assert_memory_equal(span.traceparent, SAMPLED, 36);
    assert_memory_not_equal(span.traceparent + 36, SAMPLED + 36, 16);
    assert_string_equal(span.traceparent + 52, "-01");
    assert_string_equal(span.parent_id, "b7ad6b7169203331");
    span.state = "a=b";

    const char *trace = span_trace(&span, "", out);
    span_begin(&child, SPAN_INTERNAL, trace);
    assert_true(child.recorded && !child.remote);
    assert_memory_equal(child.traceparent, span.traceparent, 36);
    assert_memory_equal(child.parent_id, span.traceparent + 36, 16);
    assert_string_equal(child.state, "a=b");

    span_enter(&other, SPAN_SERVER, UNSAMPLED);
    assert_false(other.recorded);
    assert_string_equal(other.traceparent, UNSAMPLED);
    span_enter(&other, SPAN_SERVER, "nonsense");
    assert_true(other.recorded && !other.remote && trace_is_recorded(other.traceparent));
    assert_string_equal(other.parent_id, "");
    stop();
    collector_stop(&collector);
}

static void a_sampler_that_says_no_clears_the_flag(void **state) {
    (void)state;
    struct tracing_options options = options_for("http://127.0.0.1:1");
    struct span span;
    options.ratio = "0";
    start(&options);
    span_enter(&span, SPAN_SERVER, NULL);
    assert_false(span.recorded || trace_is_recorded(span.traceparent));
    assert_true(trace_valid(span.traceparent));
    span_enter(&span, SPAN_SERVER, SAMPLED);
    assert_true(span.recorded); /* based on the parent */
    span_end(&span, &(struct span_details){.name = "x"});
    tracing_stop(0);
    options.sampler = SAMPLER_OFF;
    assert_true(tracing_start(&options));
    span_enter(&span, SPAN_SERVER, SAMPLED);
    assert_false(span.recorded);
    assert_string_equal(span.traceparent, UNSAMPLED);
    tracing_stop(0);
    options.sampler = SAMPLER_ON;
    assert_true(tracing_start(&options));
    span_enter(&span, SPAN_SERVER, UNSAMPLED);
    assert_true(span.recorded && trace_is_recorded(span.traceparent));
    span_end(&span, &(struct span_details){.name = "x"});
    stop();
}

static void spans_reach_the_collector(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, 200);
    struct tracing_options options = options_for(collector.url);
    options.headers.text = "Api-Key=secret%20key,X-Tenant=7";
    start(&options);
    emit(1000);
    await_count("exported", 1000);
    emit(1);
    stop(); /* sends the last one */
    assert_non_null(strstr(collector.head, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(collector.head, "Content-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(collector.head, "Api-Key: secret key\r\n"));
    assert_non_null(strstr(collector.head, "X-Tenant: 7\r\n"));
    assert_true(atomic_load(&collector.bytes) > 1001 * 60);
    collector_stop(&collector);
}

static void an_outage_is_told_once_and_costs_nothing_that_fits(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, 503);
    collector.headers = "Retry-After: 0\r\n";
    struct tracing_options options = options_for(collector.url);
    start(&options);
    capture_begin();
    emit(10);
    while (atomic_load(&collector.requests) < 4)
        clock_sleep_ms(1);
    atomic_store(&collector.status, 0); /* now it hangs up */
    while (atomic_load(&collector.requests) < 8)
        clock_sleep_ms(1);
    atomic_store(&collector.status, 200);
    await_count("exported", 10);
    assert_int_equal(counted("dropped") + counted("refused"), 0);
    stop();
    assert_int_equal(count_lines(capture_end()), 2);
    assert_non_null(strstr(captured, "trace collector is unavailable: HTTP 503"));
    assert_non_null(strstr(captured, "trace collector is available again"));
    collector_stop(&collector);
}

static void what_is_refused_is_not_sent_again(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, 500); /* OTLP: not to be repeated */
    struct tracing_options options = options_for(collector.url);
    start(&options);
    capture_begin();
    emit(10);
    await_count("refused", 10);
    emit(5);
    await_count("refused", 15);
    stop();
    assert_int_equal(count_lines(capture_end()), 2);
    assert_non_null(strstr(captured, "trace collector is unavailable: HTTP 500"));
    assert_non_null(strstr(captured, "15 span(s) did not reach the trace collector"));
    collector_stop(&collector);
}

static void what_a_collector_rejects_is_counted(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, 200);
    collector.answer = "\x0a\x02\x08\x03"; /* partial_success: rejected_spans = 3 */
    collector.answer_len = 4;
    struct tracing_options options = options_for(collector.url);
    options.pause_ms = 60000; /* one request for all, at the stop */
    start(&options);
    capture_begin();
    emit(10);
    tracing_stop(60000);
    capture_end();
    assert_int_equal(counted("exported"), 7);
    assert_int_equal(counted("refused"), 3);
    assert_non_null(strstr(captured, "3 span(s) did not reach the trace collector"));
    metrics_stop();
    collector_stop(&collector);
}

/* Nobody waits for a collector that never answers: what does not fit is dropped, and the stop has its bound. */
static void a_collector_that_hangs_holds_nobody_up(void **state) {
    (void)state;
    struct collector collector;
    collector_start(&collector, -1);
    struct tracing_options options = options_for(collector.url);
    start(&options);
    capture_begin();
    emit(60000);
    unsigned long dropped = counted("dropped");
    assert_true(dropped > 0 && dropped < 60000);
    tracing_stop(20);
    capture_end();
    assert_int_equal(counted("dropped"), 60000);
    assert_int_equal(counted("exported"), 0);
    assert_non_null(strstr(captured, "60000 span(s) did not reach the trace collector"));
    metrics_stop();
    collector_stop(&collector);
}

static void nobody_listens(void **state) {
    (void)state;
    struct tracing_options options = options_for("http://127.0.0.1:1");
    start(&options);
    capture_begin();
    emit(3);
    tracing_stop(20);
    capture_end();
    assert_int_equal(counted("dropped"), 3);
    assert_non_null(strstr(captured, "trace collector is unavailable: "));
    metrics_stop();
}

static void *emit_from_a_thread(void *cls) {
    (void)cls;
    emit(2000);
    return NULL;
}

static void many_threads_make_spans(void **state) {
    (void)state;
    struct collector collector;
    pthread_t threads[4];
    collector_start(&collector, 200);
    struct tracing_options options = options_for(collector.url);
    start(&options);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, emit_from_a_thread, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    tracing_stop(60000);
    assert_int_equal(counted("exported"), 8000);
    metrics_stop();
    collector_stop(&collector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_endpoint_nothing_happens),
        cmocka_unit_test(a_span_continues_the_trace_of_its_parent),
        cmocka_unit_test(a_sampler_that_says_no_clears_the_flag),
        cmocka_unit_test(spans_reach_the_collector),
        cmocka_unit_test(an_outage_is_told_once_and_costs_nothing_that_fits),
        cmocka_unit_test(what_is_refused_is_not_sent_again),
        cmocka_unit_test(what_a_collector_rejects_is_counted),
        cmocka_unit_test(a_collector_that_hangs_holds_nobody_up),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(many_threads_make_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
