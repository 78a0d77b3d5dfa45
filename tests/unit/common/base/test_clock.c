/* Times as text, and clocks that go the right way. */
#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "fakes/rows.h"

static void times_are_written_as_text(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1769847330123, "2026-01-31T08:15:30.123Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for_each_row(i, cases, "%s", cases[i].text) {
        char text[TIME_TEXT_SIZE];
        clock_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void any_time_of_rfc_3339_is_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t down, up; /* -1: refused */
    } cases[] = {
        {"2026-01-31T08:15:30Z", 1769847330000, 1769847330000},
        {"2026-01-31t08:15:30.1z", 1769847330100, 1769847330100},
        {"2026-01-31T08:15:30.123Z", 1769847330123, 1769847330123},
        {"2026-01-31T08:15:30.1230001Z", 1769847330123, 1769847330124},
        {"2026-01-31T08:15:30.999999999Z", 1769847330999, 1769847331000},
        {"2026-01-31T10:00:30.5+01:45", 1769847330500, 1769847330500},
        {"2026-01-30T22:15:30-10:00", 1769847330000, 1769847330000},
        {"2000-02-29T00:00:00Z", 951782400000, 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000, 1483228800000}, /* a leap second */
        {"1970-01-01T00:00:00Z", 0, 0},
        {"9999-12-31T23:59:59.999Z", 253402300799999, 253402300799999},
        {"9999-12-31T23:59:59.9999Z", 253402300799999, 253402300799999},
        {"9999-12-31T23:59:59-01:00", 253402300799999, 253402300799999},
        {"1970-01-01T00:00:00+00:01", 0, 0},
        {"0000-02-29T23:59:59Z", 0, 0},
        {"", -1, -1},
        {"2026-01-31", -1, -1},
        {"2026-01-31T08:15:30", -1, -1},
        {"2026-01-31 08:15:30Z", -1, -1},
        {"2026-01-31T08:15Z", -1, -1},
        {"2026-1-31T08:15:30Z", -1, -1},
        {"2026-13-01T08:15:30Z", -1, -1},
        {"2026-00-01T08:15:30Z", -1, -1},
        {"2026-02-29T08:15:30Z", -1, -1},
        {"1900-02-29T08:15:30Z", -1, -1},
        {"2026-04-31T08:15:30Z", -1, -1},
        {"2026-01-00T08:15:30Z", -1, -1},
        {"2026-01-31T24:00:00Z", -1, -1},
        {"2026-01-31T08:60:30Z", -1, -1},
        {"2026-01-31T08:15:61Z", -1, -1},
        {"2026-01-31T08:15:30.Z", -1, -1},
        {"2026-01-31T08:15:30.1234567890Z", -1, -1},
        {"2026-01-31T08:15:30+0100", -1, -1},
        {"2026-01-31T08:15:30 01:00", -1, -1},
        {"2026-01-31T08:15:30+24:00", -1, -1},
        {"2026-01-31T08:15:30Z ", -1, -1},
        {" 2026-01-31T08:15:30Z", -1, -1},
        {"-026-01-31T08:15:30Z", -1, -1},
    };
    for_each_row(i, cases, "'%s'", cases[i].text) {
        int64_t down, up;
        assert_int_equal(clock_parse_any(cases[i].text, false, &down), cases[i].down >= 0);
        assert_int_equal(clock_parse_any(cases[i].text, true, &up), cases[i].up >= 0);
        if (cases[i].down >= 0)
            assert_int_equal(down, cases[i].down);
        if (cases[i].up >= 0)
            assert_int_equal(up, cases[i].up);
    }
}

static void the_text_is_utc_wherever_the_process_runs(void **state) {
    (void)state;
    setenv("TZ", "Asia/Kathmandu", 1);
    tzset();
    char text[TIME_TEXT_SIZE];
    clock_format(1769847330123, text);
    assert_string_equal(text, "2026-01-31T08:15:30.123Z");
    unsetenv("TZ");
    tzset();
}

static void the_wall_clock_is_in_milliseconds(void **state) {
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t now = clock_epoch_ms();
    int64_t after = ((int64_t)time(NULL) + 1) * 1000;
    /* time() may lag by a tick of the coarse clock */
    assert_true(before <= now && now <= after + 100);
}

static void sleeping_takes_its_time(void **state) {
    (void)state;
    int64_t start = clock_mono_ms();
    clock_sleep_ms(0);
    clock_sleep_ms(-5);
    clock_sleep_ms(30);
    assert_true(clock_mono_ms() - start >= 29);
}

static void ignore_alarm(int number) {
    (void)number;
}

static void signals_do_not_cut_a_sleep_short(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = ignore_alarm}; /* no SA_RESTART: sleeps are interrupted */
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every_5_ms = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000};
    setitimer(ITIMER_REAL, &every_5_ms, NULL);

    int64_t start = clock_mono_ms();
    clock_sleep_ms(60);
    int64_t slept = clock_mono_ms() - start;

    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    assert_true(slept >= 59);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static const int64_t times[] = {0, 1769847330123, 1, 951782399999, 253402300799999, -1};
    static const char *const others[] = {"",
                                         "2026-01-31",
                                         "2026-01-31T08:15:30Z",
                                         "2026-01-31T08:15:30.123",
                                         "2026-01-31T08:15:30.123Zx",
                                         "2026-01-31T08:15:30.99999999999999999999Z",
                                         "2026-01-31T08:15:30.-01Z",
                                         "2026-02-30T08:15:30.123Z",
                                         "2026-01-31T25:15:30.123Z",
                                         " 2026-1-31T08:15:30.123Z",
                                         "2026-01-31T08:15:30.123+01:00"};
    int64_t ms;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[TIME_TEXT_SIZE];
        clock_format(times[i], text);
        assert_true(clock_parse(text, &ms));
        assert_int_equal(ms, times[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (clock_parse(others[i], &ms))
            fail_msg("%s was read", others[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(times_are_written_as_text),
        cmocka_unit_test(any_time_of_rfc_3339_is_read),
        cmocka_unit_test(the_text_is_utc_wherever_the_process_runs),
        cmocka_unit_test(the_wall_clock_is_in_milliseconds),
        cmocka_unit_test(sleeping_takes_its_time),
        cmocka_unit_test(signals_do_not_cut_a_sleep_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
