/* An outage in the log: a line when it begins, a line when it ends, whatever happens in between. */
#include "common/base/outage.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "fakes/captured_log.h"

static void the_beginning_and_the_end_are_told_once(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    capture_begin();
    bool first = outage_begin(&outage, "port %d is closed", 17), second = outage_begin(&outage, "still"),
         third = outage_begin(&outage, "and still");
    assert_int_equal(count_lines(capture_end()), 1);
    assert_true(first && !second && !third);
    assert_non_null(strstr(captured, "\"severity_text\":\"WARN\""));
    assert_non_null(strstr(captured, "\"carrier is unavailable: port 17 is closed\""));

    capture_begin();
    outage_end(&outage);
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(strstr(captured, "\"severity_text\":\"INFO\""));
    assert_non_null(strstr(captured, "\"carrier is available again after "));
    assert_non_null(strstr(captured, " s and 3 failure(s)\""));
}

static void there_is_no_end_without_a_beginning(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    capture_begin();
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 0);
}

static void the_next_outage_is_counted_anew(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    capture_begin();
    for (int i = 0; i < 5; i++)
        outage_begin(&outage, "gone");
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 2);
    assert_non_null(strstr(captured, "5 failure(s)"));
    capture_begin();
    bool begun = outage_begin(&outage, "gone again");
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 2);
    assert_true(begun);
    assert_non_null(strstr(captured, "gone again"));
    assert_non_null(strstr(captured, "1 failure(s)"));
}

static void its_length_is_told(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    capture_begin();
    outage_begin(&outage, "gone");
    clock_sleep_ms(250);
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 2);
    assert_null(strstr(captured, "after 0.0 s"));
}

/* Where calls fail and succeed in turn, each change would be a line. */
static void it_lasts_until_failures_are_over_for_a_while(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier", .quiet_ms = 100};
    capture_begin();
    for (int i = 0; i < 5; i++) {
        outage_begin(&outage, "now and then");
        outage_end(&outage);
    }
    assert_int_equal(count_lines(capture_end()), 1);
    clock_sleep_ms(120);
    capture_begin();
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(strstr(captured, "5 failure(s)"));
}

static void a_long_reason_is_cut(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    capture_begin();
    outage_begin(&outage, "%02000d", 7);
    assert_int_equal(count_lines(capture_end()), 1);
    assert_non_null(strstr(captured, "carrier is unavailable: 000"));
    assert_true(strlen(captured) < 1000);
    capture_begin();
    outage_end(&outage);
    (void)capture_end();
}

enum { THREADS = 4, CALLS = 5000 };

static void *fail_often(void *arg) {
    size_t begun = 0;
    for (int i = 0; i < CALLS; i++)
        begun += outage_begin(arg, "gone");
    return (void *)begun;
}

static void of_many_threads_one_tells(void **state) {
    (void)state;
    struct outage outage = {.name = "carrier"};
    pthread_t threads[THREADS];
    size_t begun = 0;
    capture_begin();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fail_often, &outage), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        begun += (size_t)count;
    }
    outage_end(&outage);
    assert_int_equal(count_lines(capture_end()), 2);
    assert_int_equal(begun, 1);
    assert_non_null(strstr(captured, "20000 failure(s)"));
}

int main(void) {
    log_setup("test", LOG_INFO, LOG_JSON);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_beginning_and_the_end_are_told_once),
        cmocka_unit_test(there_is_no_end_without_a_beginning),
        cmocka_unit_test(the_next_outage_is_counted_anew),
        cmocka_unit_test(its_length_is_told),
        cmocka_unit_test(it_lasts_until_failures_are_over_for_a_while),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(of_many_threads_one_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
