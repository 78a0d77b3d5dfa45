/* Lines that anybody can cause: some a second, and how many there were. */
#include "common/base/log_limit.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/captured_log.h"

static unsigned allowed(struct log_limit *limit, unsigned times, int64_t now_ms) {
    unsigned count = 0;
    for (unsigned i = 0; i < times; i++)
        count += log_limit_allows(limit, "tests", now_ms);
    return count;
}

static void a_second_has_so_many_lines(void **state) {
    (void)state;
    struct log_limit limit = {0};
    capture_begin();
    assert_int_equal(allowed(&limit, LOG_LIMIT_PER_SECOND, 0), LOG_LIMIT_PER_SECOND);
    assert_int_equal(allowed(&limit, 1000, 999), 0);
    assert_int_equal(allowed(&limit, 1000, 1000), LOG_LIMIT_PER_SECOND);
    assert_int_equal(allowed(&limit, 1, 5000), 1);
    assert_int_equal(allowed(&limit, 1, 5001), 1);
    const char *log = capture_end();
    assert_int_equal(count_lines(log), 2);
    const char *second = strstr(log, "1000 more line(s) about tests were left out");
    assert_non_null(second);
    assert_non_null(strstr(second, "980 more line(s) about tests were left out"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_has_so_many_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
