/* The .env file: what is read, what is refused. */
#include "common/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakes/rows.h"

/* The caller unlinks it. */
static void write_bytes(char path[static 32], const char *bytes, size_t len) {
    strcpy(path, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void write_file(char path[static 32], const char *text) {
    write_bytes(path, text, strlen(text));
}

static void an_env_file_is_read(void **state) {
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
    for_each_row(i, expected, "%s", expected[i].name) {
        assert_string_equal(getenv(expected[i].name), expected[i].value);
    }
    buf_free(&errors);
}

static void a_bad_env_file_is_refused_with_its_line(void **state) {
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

static void assert_fault(const char *bytes, size_t len, const char *expected) {
    char path[32];
    struct buf errors = {0};
    write_bytes(path, bytes, len);
    bool good = config_read_env_file(path, &errors);
    unlink(path);
    assert_false(good);
    assert_non_null(strstr(errors.data, expected));
    buf_free(&errors);
}

static void a_line_that_cannot_be_read_is_told(void **state) {
    (void)state;
    char line[9000] = "T_LONG=";
    memset(line + strlen(line), 'x', sizeof line - 1 - strlen(line));
    assert_fault(line, sizeof line - 1, "line 1 is too long");
    assert_null(getenv("T_LONG"));
    static const char last[] = "T_WHOLE=1\nT_CUT=a\0b", middle[] = "T_CUT=a\0b\nT_BEHIND=1\n";
    assert_fault(last, sizeof last - 1, "line 2 contains a NUL");
    assert_fault(middle, sizeof middle - 1, "line 1 contains a NUL");
    assert_null(getenv("T_CUT"));
}

static void one_variable_is_found(void **state) {
    (void)state;
    char path[32];
    write_file(path, "T_ONE=1\nT_WANTED='a b'\nT_WANTED=later\n");
    setenv("T_WANTED", "of the environment", 1);
    struct buf found = {0}, errors = {0};
    assert_true(config_find_in_env_file(path, "T_WANTED", &found, &errors));
    assert_string_equal(found.data, "a b");
    buf_clear(&found);
    assert_true(config_find_in_env_file(path, "T_OTHER", &found, &errors));
    assert_int_equal(found.len, 0);
    unlink(path);
    assert_null(getenv("T_ONE"));
    assert_false(config_find_in_env_file(path, "T_WANTED", &found, &errors));
    write_file(path, "T_WANTED=1\nnothing\n");
    assert_false(config_find_in_env_file(path, "T_WANTED", &found, &errors));
    unlink(path);
    assert_non_null(strstr(errors.data, "line 2 "));
    buf_free(&found);
    buf_free(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_env_file_is_read),
        cmocka_unit_test(one_variable_is_found),
        cmocka_unit_test(a_bad_env_file_is_refused_with_its_line),
        cmocka_unit_test(a_line_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
