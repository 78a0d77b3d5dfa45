/* The .env file: what is read, what is refused. */
#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The caller unlinks it. */
static void write_file(char path[static 32], const char *text) {
    strcpy(path, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_env_file(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"T_PLAIN", "a b"},   {"T_COMMENT", "a#b"},        {"T_EMPTY", ""},       {"T_BLANK", ""},
        {"T_QUOTED", " a #"}, {"T_SINGLE", "\"x\""},       {"T_EQUALS", "k=v=="}, {"T_CRLF", "dos"},
        {"T_TAKEN", "first"}, {"T_LAST", "no line break"},
    };
    char path[32];
    write_file(path, "# comment\n\n  T_PLAIN= a b  \nT_COMMENT=a#b # c\nT_EMPTY=\nT_BLANK=  # c\n"
                     "T_QUOTED=\" a #\"  # c\nT_SINGLE='\"x\"'\nT_EQUALS=k=v==\nT_CRLF=dos\r\n"
                     "T_TAKEN=second\nT_LAST=no line break");
    setenv("T_TAKEN", "first", 1);
    struct buf errors = {0};
    bool good = config_read_env_file(path, &errors);
    unlink(path);
    assert_true(good);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(getenv(expected[i].name), expected[i].value);
    buf_free(&errors);
}

static void test_bad_env_file(void **state) {
    (void)state;
    char path[32];
    write_file(path, "T_GOOD=1\nexport T_X=1\n=1\nT_OPEN=\"x\nT_AFTER='x' y\n");
    struct buf errors = {0};
    assert_false(config_read_env_file(path, &errors));
    unlink(path);
    assert_null(strstr(errors.data, "line 1 "));
    for (int i = 2; i <= 5; i++) {
        char line[24];
        snprintf(line, sizeof line, ": line %d ", i);
        assert_non_null(strstr(errors.data, line));
    }
    buf_clear(&errors);
    assert_false(config_read_env_file("/nowhere/.env", &errors));
    assert_non_null(strstr(errors.data, "No such file"));
    buf_free(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_env_file),
        cmocka_unit_test(test_bad_env_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
