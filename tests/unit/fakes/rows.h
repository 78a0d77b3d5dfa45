/* Tests with a table: when one fails, its output names the row. Include after cmocka.h, in one file of a test. A test
 * with a teardown of its own calls row_tell there. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static char row_name[512];
static bool in_row; /* a row is at work */

static inline bool row_is(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline bool row_is(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(row_name, sizeof row_name, format, args);
    va_end(args);
    return in_row = true;
}

static inline bool row_none(void) {
    return in_row = false;
}

/* A teardown: a test that ended within a row has failed there. */
static inline int row_tell(void **state) {
    (void)state;
    if (in_row)
        print_error("[   ROW    ] --- %s\n", row_name);
    (void)row_none();
    return 0;
}

#undef cmocka_unit_test
#define cmocka_unit_test(test) cmocka_unit_test_teardown(test, row_tell)
#undef cmocka_unit_test_setup
#define cmocka_unit_test_setup(test, setup) cmocka_unit_test_setup_teardown(test, setup, row_tell)

/* Goes through an array. The rest is the format of the row's name, and its arguments. */
#define for_each_row(i, array, ...)                                                                          \
    for (size_t i = 0; i < sizeof(array) / sizeof *(array) ? row_is(__VA_ARGS__) : row_none(); i++)
