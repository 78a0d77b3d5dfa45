/* What is read again while a daemon runs: the log level and the secret of the tokens. */
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

enum { DEBUG_LEVEL, INFO_LEVEL, WARN_LEVEL };

static char path[] = "/tmp/test_reload.XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void put(const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void level_comes_from_the_file(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t level;
    } rows[] = {{"LOG_LEVEL=debug\n", DEBUG_LEVEL},
                {"DB_HOST=db\nLOG_LEVEL='warn' # quiet\n", WARN_LEVEL},
                {"LOG_LEVEL=\n", INFO_LEVEL},
                {"", INFO_LEVEL}};
    struct config config = {.log_level = WARN_LEVEL, .level_file = path};
    struct buf errors = {0};
    for_each_row(i, rows, "%s", rows[i].text) {
        int64_t level = -1;
        put(rows[i].text);
        assert_true(config_reread_level(&config, &level, &errors));
        assert_int_equal(level, rows[i].level);
    }
    int64_t level = -1;
    config.level_file = NULL; /* the environment has it, and does not change */
    assert_true(config_reread_level(&config, &level, &errors));
    assert_int_equal(level, WARN_LEVEL);
    assert_int_equal(errors.len, 0);
}

static void bad_level_is_told(void **state) {
    (void)state;
    static const struct {
        const char *text, *told;
    } rows[] = {{"LOG_LEVEL=loud\n", "LOG_LEVEL: must be one of debug|info|warn|error, not 'loud'\n"},
                {"LOG_LEVEL=warn\nnonsense\n", "line 2 is not NAME=value\n"}};
    const struct config config = {.level_file = path};
    for_each_row(i, rows, "%s", rows[i].text) {
        struct buf errors = {0};
        int64_t level;
        put(rows[i].text);
        assert_false(config_reread_level(&config, &level, &errors));
        assert_non_null(strstr(errors.data, rows[i].told));
        buf_free(&errors);
    }
}

static void secret_comes_from_its_file(void **state) {
    (void)state;
    const struct config config = {.app_env = ENV_PRODUCTION, .jwt_secret = {.text = "old", .path = path}};
    struct buf errors = {0};
    char secret[SECRET_SIZE];
    put("a new secret of at least 32 bytes\n");
    assert_true(config_reread_jwt_secret(&config, secret, &errors));
    assert_string_equal(secret, "a new secret of at least 32 bytes");
    assert_int_equal(errors.len, 0);
    static const char *const bad[] = {"", "a short one", CONFIG_DEFAULT_JWT_SECRET};
    for_each_row(i, bad, "%s", bad[i]) {
        put(bad[i]);
        assert_false(config_reread_jwt_secret(&config, secret, &errors));
        assert_non_null(strstr(errors.data, "JWT_SECRET"));
        assert_null(*bad[i] ? strstr(errors.data, bad[i]) : NULL);
        buf_clear(&errors);
    }
    buf_free(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(level_comes_from_the_file, row_tell),
        cmocka_unit_test_teardown(bad_level_is_told, row_tell),
        cmocka_unit_test_teardown(secret_comes_from_its_file, row_tell),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
