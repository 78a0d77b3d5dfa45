/* The command line both daemons share. */
#include "common/config/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECRET "a secret of our own, 32 bytes and more"
#define OUT_SIZE 16384

/* Runs order-svc's command line with standard output kept in out. */
static struct config_command run(char *argv[], char out[static OUT_SIZE]) {
    int argc = 0;
    while (argv[argc])
        argc++;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    struct config_command command = config_command_line(CONFIG_ORDER, argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    out[fread(out, 1, OUT_SIZE - 1, file)] = '\0';
    fclose(file);
    return command;
}

static char name[] = "order-svc", out[OUT_SIZE];

static void assert_left(struct config_command command, int exit_code) {
    assert_null(command.config);
    assert_int_equal(command.exit_code, exit_code);
}

/* The settings are good, and the daemon goes on to check the machine. */
static void assert_passed(struct config_command command) {
    assert_true(command.check_only);
    assert_int_equal(command.exit_code, 0);
    assert_non_null(command.config);
    config_free(command.config);
}

static int set_environment(void **state) {
    (void)state;
    setenv("JWT_SECRET", SECRET, 1);
    setenv("DB_PASSWORD", SECRET, 1);
    setenv("WEBHOOK_SECRETS_KEY", SECRET, 1);
    unsetenv("APP_ENV");
    unsetenv("BATCH_SIZE");
    return 0;
}

static void check_config_reports_and_exits(void **state) {
    (void)state;
    char check[] = "--check-config";
    assert_passed(run((char *[]){name, check, NULL}, out));
    setenv("BATCH_SIZE", "none", 1);
    assert_left(run((char *[]){name, check, NULL}, out), 1);
}

static void health_needs_an_address_only(void **state) {
    (void)state;
    char ready[] = "--health", live[] = "--health=live", other[] = "--health=dead", migrate[] = "--migrate";
    unsetenv("JWT_SECRET");
    unsetenv("DB_PASSWORD");
    struct config_command command = run((char *[]){name, ready, NULL}, out);
    assert_string_equal(command.probe, "/health/ready");
    assert_int_equal(command.config->order_port, 3001);
    config_free(command.config);
    command = run((char *[]){name, live, NULL}, out);
    assert_string_equal(command.probe, "/health/live");
    config_free(command.config);
    setenv("ORDER_SERVICE_PORT", "none", 1);
    assert_left(run((char *[]){name, ready, NULL}, out), 1);
    unsetenv("ORDER_SERVICE_PORT");
    assert_left(run((char *[]){name, other, NULL}, out), 2);
    setenv("DB_PASSWORD", SECRET, 1);
    command = run((char *[]){name, ready, migrate, NULL}, out); /* the last one counts */
    assert_true(command.migrate_only);
    assert_null(command.probe);
    config_free(command.config);
}

static void print_config_hides_secrets(void **state) {
    (void)state;
    char print[] = "--print-config";
    assert_left(run((char *[]){name, print, NULL}, out), 0);
    assert_non_null(strstr(out, "JWT_SECRET=***\n"));
    assert_non_null(strstr(out, "DB_PASSWORD=***\n"));
    assert_non_null(strstr(out, "BATCH_SIZE=128\n"));
    assert_null(strstr(out, SECRET));
}

static void help_names_the_daemons_knobs(void **state) {
    (void)state;
    char help[] = "--help";
    assert_left(run((char *[]){name, help, NULL}, out), 0);
    for (size_t i = 0; i < config_knob_count; i++) {
        char line[256];
        snprintf(line, sizeof line, "\n  %s=%s\n", config_knobs[i].name, config_knobs[i].fallback);
        assert_int_equal(strstr(out, line) != NULL, (config_knobs[i].service & CONFIG_ORDER) != 0);
    }
}

static void version_is_printed(void **state) {
    (void)state;
    char version[] = "--version";
    assert_left(run((char *[]){name, version, NULL}, out), 0);
    assert_string_equal(out, "order-svc " SERVICE_VERSION "\n");
}

static void options_end_at_the_subcommand(void **state) {
    (void)state;
    char migrate[] = "--migrate", client[] = "client", help[] = "--help";
    struct config_command command = run((char *[]){name, migrate, client, help, NULL}, out);
    assert_non_null(command.config);
    assert_true(command.migrate_only);
    assert_int_equal(command.argument, 2);
    config_free(command.config);

    command = run((char *[]){name, NULL}, out);
    assert_non_null(command.config);
    assert_false(command.migrate_only);
    assert_int_equal(command.argument, 1);
    config_free(command.config);
}

/* A process that cannot be dumped leaves no core, and nobody of its user may trace it or read its environ. */
static void memory_is_closed_in_production(void **state) {
    (void)state;
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    setenv("APP_ENV", "development", 1);
    config_free(run((char *[]){name, NULL}, out).config);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
    setenv("APP_ENV", "production", 1);
    config_free(run((char *[]){name, NULL}, out).config);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
}

static void an_unknown_option_is_refused(void **state) {
    (void)state;
    char bogus[] = "--bogus", env[] = "--env";
    assert_left(run((char *[]){name, bogus, NULL}, out), 2);
    assert_left(run((char *[]){name, env, NULL}, out), 2);
}

static void the_env_file_is_read_first(void **state) {
    (void)state;
    char env[] = "--env", check[] = "--check-config", missing[] = "/nowhere/.env",
         example[] = PROJECT_ROOT "/env.example";
    assert_left(run((char *[]){name, env, missing, check, NULL}, out), 1);
    unsetenv("JWT_SECRET");
    assert_passed(run((char *[]){name, env, example, check, NULL}, out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(check_config_reports_and_exits, set_environment),
        cmocka_unit_test_setup(health_needs_an_address_only, set_environment),
        cmocka_unit_test_setup(print_config_hides_secrets, set_environment),
        cmocka_unit_test_setup(help_names_the_daemons_knobs, set_environment),
        cmocka_unit_test_setup(version_is_printed, set_environment),
        cmocka_unit_test_setup(options_end_at_the_subcommand, set_environment),
        cmocka_unit_test_setup(memory_is_closed_in_production, set_environment),
        cmocka_unit_test_setup(an_unknown_option_is_refused, set_environment),
        cmocka_unit_test_setup(the_env_file_is_read_first, set_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
