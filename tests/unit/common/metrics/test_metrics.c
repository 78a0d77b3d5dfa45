/* The metrics of the process: their series, their numbers, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/metrics/private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *written(enum metrics_format format) {
    struct buf out = {0};
    metrics_write(&out, format);
    assert_false(out.failed);
    return buf_take(&out);
}

static void assert_written(enum metrics_format format, const char *part) {
    char *text = written(format);
    if (!strstr(text, part))
        print_error("%s\n-- lacks --\n%s\n", text, part);
    assert_non_null(strstr(text, part));
    free(text);
}

static void assert_not_written(const char *part) {
    char *text = written(METRICS_PROMETHEUS);
    assert_null(strstr(text, part));
    free(text);
}

static int start(void **state) {
    (void)state;
    return metrics_start() ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    metrics_stop();
    return 0;
}

static void a_counter_counts(void **state) {
    (void)state;
    struct metric_series *created = metric_series(METRIC_ORDERS_CREATED, NULL);
    assert_written(METRICS_PROMETHEUS, "# TYPE orders_created_total counter\norders_created_total 0\n");
    metric_add(created, 1);
    metric_add(created, 63);
    assert_written(METRICS_PROMETHEUS, "\norders_created_total 64\n");
    assert_written(METRICS_OPENMETRICS, "# TYPE orders_created counter\norders_created_total 64\n");
}

static void a_series_is_found_again_by_its_values(void **state) {
    (void)state;
    struct metric_series *a = metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS("views", "memory", "hit"));
    assert_ptr_equal(a, metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS("views", "memory", "hit")));
    assert_ptr_not_equal(a, metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS("views", "memory", "miss")));
    metric_add(a, 2);
    assert_written(METRICS_PROMETHEUS,
                   "\norders_cache_lookups_total{cache=\"views\",tier=\"memory\",result=\"hit\"} 2\n");
}

static void values_are_escaped_and_empty_ones_omitted(void **state) {
    (void)state;
    metric_add(metric_series(METRIC_OUTBOX_EVENTS, METRIC_LABELS("a\"b\\c\nd", "")), 1);
    assert_written(METRICS_PROMETHEUS, "\norders_outbox_published_total{outbox=\"a\\\"b\\\\c\\nd\"} 1\n");
    metric_add(metric_series(METRIC_REPEATED, METRIC_LABELS("")), 1);
    assert_written(METRICS_PROMETHEUS, "\norders_repeated_events_total 1\n");
}

static void long_values_are_cut(void **state) {
    (void)state;
    char value[200];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    metric_set(metric_series(METRIC_OUTBOX_ROWS, METRIC_LABELS(value)), 1);
    value[METRIC_VALUE_SIZE - 1] = '\0';
    char expected[256];
    snprintf(expected, sizeof expected, "{outbox=\"%s\"} 1\n", value);
    assert_written(METRICS_PROMETHEUS, expected);
}

static void a_gauge_is_set_and_unset(void **state) {
    (void)state;
    struct metric_series *age = metric_series(METRIC_OUTBOX_AGE, METRIC_LABELS("order_outbox"));
    metric_set(age, INT64_C(1500000000));
    assert_written(METRICS_PROMETHEUS, "\norders_outbox_oldest_age_seconds{outbox=\"order_outbox\"} 1.5\n");
    metric_set(age, INT64_C(-250000000));
    assert_written(METRICS_PROMETHEUS, "} -0.25\n");
    metric_unset(age);
    assert_not_written("orders_outbox_oldest_age_seconds");
    metric_set(age, 1);
    assert_written(METRICS_PROMETHEUS, "} 0.000000001\n");
    metric_set(metric_series(METRIC_OUTBOX_AGE, METRIC_LABELS("delivery_outbox")), 1);
    metric_unset_all(METRIC_OUTBOX_AGE);
    assert_not_written("orders_outbox_oldest_age_seconds");
}

static void a_histogram_has_buckets_that_add_up(void **state) {
    (void)state;
    struct metric_series *size = metric_series(METRIC_BATCH_SIZE, METRIC_LABELS("POST", "/orders"));
    const int values[] = {1, 2, 64, 513};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metric_observe(size, values[i], NULL);
#define POST_ORDERS "{http_request_method=\"POST\",http_route=\"/orders\""
    assert_written(METRICS_PROMETHEUS, "# TYPE orders_batch_requests histogram\n"
                                       "orders_batch_requests_bucket" POST_ORDERS ",le=\"1\"} 1\n"
                                       "orders_batch_requests_bucket" POST_ORDERS ",le=\"2\"} 2\n");
    assert_written(METRICS_PROMETHEUS,
                   POST_ORDERS ",le=\"512\"} 3\n"
                               "orders_batch_requests_bucket" POST_ORDERS ",le=\"+Inf\"} 4\n"
                               "orders_batch_requests_sum" POST_ORDERS "} 580\n"
                               "orders_batch_requests_count" POST_ORDERS "} 4\n");
    assert_written(METRICS_OPENMETRICS, ",le=\"1.0\"} 1\n");
}

static void a_recorded_trace_is_an_example_in_its_bucket(void **state) {
    (void)state;
    struct metric_series *wait = metric_series(METRIC_SHIPMENT_DELAY, NULL);
    metric_observe(wait, 20000000, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00");
    char *text = written(METRICS_OPENMETRICS);
    assert_null(strstr(text, "trace_id"));
    free(text);
    metric_observe(wait, 20000000, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    assert_written(METRICS_OPENMETRICS,
                   "_bucket{le=\"0.025\"} 2 # "
                   "{trace_id=\"0123456789abcdef0123456789abcdef\",span_id=\"0123456789abcdef\"} 0.02 ");
    assert_not_written("trace_id");
}

static void without_room_nothing_is_recorded_but_that(void **state) {
    (void)state;
    char name[32];
    struct metric_series *last = NULL;
    for (int i = 0; i < METRIC_MAX_SERIES + 1; i++) {
        snprintf(name, sizeof name, "outbox %d", i);
        last = metric_series(METRIC_OUTBOX_ROWS, METRIC_LABELS(name));
    }
    assert_null(last);
    metric_add(last, 1);
    metric_set(last, 1);
    metric_observe(last, 1, NULL);
    assert_written(METRICS_PROMETHEUS, "\norders_metrics_dropped_series_total 9\n"); /* 8 were there before */
}

static void before_the_start_nothing_is_recorded(void **state) {
    (void)state;
    assert_null(metric_series(METRIC_ORDERS_CREATED, NULL));
}

enum { THREADS = 24, ROUNDS = 5000 }; /* more threads than shards */

static void *record(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(metric_series(METRIC_ORDERS_CREATED, NULL), 1);
        metric_observe(arg, 3, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    }
    return NULL;
}

static void no_thread_loses_what_it_records(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    struct metric_series *size = metric_series(METRIC_BATCH_SIZE, METRIC_LABELS("GET", "/orders/:id"));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record, size), 0);
    for (int i = 0; i < 20; i++)
        free(written(METRICS_OPENMETRICS));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_written(METRICS_PROMETHEUS, "\norders_created_total 120000\n");
    assert_written(METRICS_PROMETHEUS,
                   "_sum{http_request_method=\"GET\",http_route=\"/orders/:id\"} 360000\n");
}

static void collect_one(void *cls) {
    metric_set(metric_series(METRIC_DATABASE_SIZE, NULL), *(int *)cls);
}

static void collectors_are_called_until_they_are_forgotten(void **state) {
    (void)state;
    int value = 5;
    assert_true(metrics_collect(collect_one, &value));
    assert_written(METRICS_PROMETHEUS, "\norders_database_size_bytes 5\n");
    metrics_forget(collect_one, &value);
    value = 6;
    assert_written(METRICS_PROMETHEUS, "\norders_database_size_bytes 5\n");
    for (int i = 1; i < METRIC_MAX_COLLECTORS; i++) /* one is the process's */
        assert_true(metrics_collect(collect_one, &value));
    assert_false(metrics_collect(collect_one, &value));
    for (int i = 1; i < METRIC_MAX_COLLECTORS; i++)
        metrics_forget(collect_one, &value);
}

static void the_process_is_described(void **state) {
    (void)state;
    static const char *const names[] = {"process_cpu_seconds_total",
                                        "process_resident_memory_bytes",
                                        "process_virtual_memory_bytes",
                                        "process_open_fds",
                                        "process_max_fds",
                                        "process_threads",
                                        "process_start_time_seconds"};
    char *text = written(METRICS_PROMETHEUS);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n%s ", names[i]);
        char *at = strstr(text, line);
        assert_non_null(at);
        assert_true(strtod(at + strlen(line), NULL) > 0);
    }
    free(text);
}

static void openmetrics_ends_with_eof_and_names_units(void **state) {
    (void)state;
    char *text = written(METRICS_OPENMETRICS);
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    assert_non_null(strstr(text, "# UNIT process_cpu_seconds seconds\n"));
    free(text);
}

static void formats_are_negotiated(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        enum metrics_format format;
    } cases[] = {
        {NULL, METRICS_PROMETHEUS},
        {"", METRICS_PROMETHEUS},
        {"*/*", METRICS_PROMETHEUS},
        {"text/plain", METRICS_PROMETHEUS},
        {"application/openmetrics-text", METRICS_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
         METRICS_OPENMETRICS},
        {"application/openmetrics-text; version=1.0.0; q=0.2, text/plain; q=0.3", METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
        {"application/openmetrics-texts", METRICS_PROMETHEUS},
        {";;;,,,q=;", METRICS_PROMETHEUS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(metrics_negotiate(cases[i].accept), cases[i].format);
}

static void the_table_is_complete(void **state) {
    (void)state;
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = &metric_table[metric];
        size_t len = info->name ? strlen(info->name) : 0;
        assert_true(len > 6 && info->help && *info->help);
        assert_int_equal(info->kind == METRIC_HISTOGRAM, info->bounds != NULL);
        assert_int_equal(info->kind == METRIC_COUNTER, strcmp(info->name + len - 6, "_total") == 0);
        for (enum metric other = 0; other < metric; other++)
            assert_string_not_equal(info->name, metric_table[other].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_counter_counts, start, stop),
        cmocka_unit_test_setup_teardown(a_series_is_found_again_by_its_values, start, stop),
        cmocka_unit_test_setup_teardown(values_are_escaped_and_empty_ones_omitted, start, stop),
        cmocka_unit_test_setup_teardown(long_values_are_cut, start, stop),
        cmocka_unit_test_setup_teardown(a_gauge_is_set_and_unset, start, stop),
        cmocka_unit_test_setup_teardown(a_histogram_has_buckets_that_add_up, start, stop),
        cmocka_unit_test_setup_teardown(a_recorded_trace_is_an_example_in_its_bucket, start, stop),
        cmocka_unit_test_setup_teardown(without_room_nothing_is_recorded_but_that, start, stop),
        cmocka_unit_test(before_the_start_nothing_is_recorded),
        cmocka_unit_test_setup_teardown(no_thread_loses_what_it_records, start, stop),
        cmocka_unit_test_setup_teardown(collectors_are_called_until_they_are_forgotten, start, stop),
        cmocka_unit_test_setup_teardown(the_process_is_described, start, stop),
        cmocka_unit_test_setup_teardown(openmetrics_ends_with_eof_and_names_units, start, stop),
        cmocka_unit_test(formats_are_negotiated),
        cmocka_unit_test(the_table_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
