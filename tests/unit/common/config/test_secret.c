/* Secrets in files: what is read, what is refused, and that no secret is told. */
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

#define SECRET "key=a secret of our own with more than 32 bytes" /* headers are pairs */
#define LONG_SECRET_SIZE 5000

/* The environment of a test. */
static struct {
    char name[64];
    const char *value;
} settings[4];

static char path[] = "/tmp/test_config_secret.XXXXXX";

static void set(const char *name, const char *suffix, const char *value) {
    size_t i = 0;
    while (settings[i].value)
        i++;
    snprintf(settings[i].name, sizeof settings[i].name, "%s%s", name, suffix);
    settings[i].value = value;
}

static const char *lookup(const char *name) {
    for (size_t i = 0; i < sizeof settings / sizeof *settings && settings[i].value; i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return NULL;
}

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static int fresh_settings(void **state) {
    (void)state;
    memset(settings, 0, sizeof settings);
    set("APP_ENV", "", "development");
    return 0;
}

static void write_secret(const char *text, size_t len) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* The only line about a configuration that must be refused; the caller frees it. */
static char *refused(void) {
    struct buf errors = {0};
    assert_null(config_load(CONFIG_BOTH, lookup, &errors));
    assert_ptr_equal(strchr(errors.data, '\n'), errors.data + errors.len - 1);
    assert_null(strstr(errors.data, SECRET));
    return buf_take(&errors);
}

static void assert_refused(const char *beginning, const char *reason) {
    char *error = refused();
    assert_memory_equal(error, beginning, strlen(beginning));
    assert_non_null(strstr(error, reason));
    free(error);
}

static void every_secret_may_be_in_a_file(void **state) {
    (void)state;
    static const char *const texts[] = {SECRET, SECRET "\n", SECRET "\r\n"};
    size_t secrets = 0;
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        if (knob->type != CONFIG_SECRET)
            continue;
        const char *text = texts[secrets++ % 3];
        write_secret(text, strlen(text));
        fresh_settings(NULL);
        /* each of AWS's two needs the other, or the key */
        set(strcmp(knob->name, "AWS_ACCESS_KEY_ID") == 0 ? "X" : "AWS_ACCESS_KEY_ID", "", "key");
        set(strcmp(knob->name, "AWS_SECRET_ACCESS_KEY") == 0 ? "X" : "AWS_SECRET_ACCESS_KEY", "", "x");
        set(knob->name, "_FILE", path);
        struct buf errors = {0};
        struct config *config = config_load(CONFIG_BOTH, lookup, &errors);
        if (!config)
            fail_msg("%s", errors.data);
        const struct secret_source *secret = (void *)((char *)config + knob->offset);
        assert_string_equal(secret->text, SECRET);
        assert_string_equal(secret->path, path);
        config_free(config);
        buf_free(&errors);
    }
    assert_true(secrets >= 5);
}

static void a_file_that_holds_no_secret_is_refused(void **state) {
    (void)state;
    static char large[LONG_SECRET_SIZE];
    memset(large, 'x', sizeof large);
    const struct {
        const char *text;
        size_t len;
        const char *beginning, *reason;
    } cases[] = {
        {"", 0, "JWT_SECRET_FILE:", "(empty)"},
        {"\n", 1, "JWT_SECRET_FILE:", "(empty)"},
        {large, sizeof large, "JWT_SECRET_FILE:", "(too large)"},
        {SECRET "\0" SECRET, 2 * sizeof SECRET - 1, "JWT_SECRET_FILE:", "(not text)"},
        {large, 2000, "JWT_SECRET:", "text of 32 to 1024 bytes"},
        {"short\n", 6, "JWT_SECRET:", "text of 32 to 1024 bytes"},
        {SECRET "\n\n", sizeof SECRET + 1, "JWT_SECRET:", "text of 32 to 1024 bytes"},
    };
    set("JWT_SECRET", "_FILE", path);
    for_each_row(i, cases, "'%.*s'", (int)cases[i].len, cases[i].text) {
        write_secret(cases[i].text, cases[i].len);
        assert_refused(cases[i].beginning, cases[i].reason);
    }
}

static void a_file_that_cannot_be_read_is_refused(void **state) {
    (void)state;
    set("REDIS_PASSWORD", "_FILE", "/nowhere/secret");
    assert_refused("REDIS_PASSWORD_FILE:", "No such file or directory");
    fresh_settings(NULL);
    set("REDIS_PASSWORD", "_FILE", "/tmp");
    assert_refused("REDIS_PASSWORD_FILE:", "Is a directory");
}

static void a_secret_is_set_once(void **state) {
    (void)state;
    write_secret(SECRET, strlen(SECRET));
    set("JWT_SECRET", "_FILE", path);
    set("JWT_SECRET", "", SECRET);
    assert_refused("JWT_SECRET_FILE:", "must not be set when JWT_SECRET is");
}

/* A secret that cannot be read is one fault: it is not told to be the default as well. */
static void the_default_does_not_stand_in(void **state) {
    (void)state;
    settings[0].value = "production";
    set("DB_PASSWORD", "", SECRET);
    set("JWT_SECRET", "_FILE", "/nowhere/secret");
    assert_refused("JWT_SECRET_FILE:", "No such file or directory");
}

static void only_secrets_are_read_from_files(void **state) {
    (void)state;
    set("DB_NAME", "_FILE", "/nowhere/name");
    struct buf errors = {0};
    struct config *config = config_load(CONFIG_BOTH, lookup, &errors);
    assert_non_null(config);
    assert_string_equal(config->db_name, "orderprocessing");
    config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_secret_may_be_in_a_file, fresh_settings),
        cmocka_unit_test_setup(a_file_that_holds_no_secret_is_refused, fresh_settings),
        cmocka_unit_test_setup(a_file_that_cannot_be_read_is_refused, fresh_settings),
        cmocka_unit_test_setup(a_secret_is_set_once, fresh_settings),
        cmocka_unit_test_setup(the_default_does_not_stand_in, fresh_settings),
        cmocka_unit_test_setup(only_secrets_are_read_from_files, fresh_settings),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
