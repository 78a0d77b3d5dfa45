/* The command line that both daemons share. */
#include "common/config/command.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "common/tracing/tracing.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum action { BAD_USAGE, RUN, MIGRATE, HELP, VERSION, METRICS, CHECK, PRINT, HEALTH };

static const struct option options[] = {
    {"env", required_argument, NULL, 'e'},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {"list-metrics", no_argument, NULL, METRICS},
    {"check-config", no_argument, NULL, CHECK},
    {"print-config", no_argument, NULL, PRINT},
    {"migrate", no_argument, NULL, MIGRATE},
    {"health", optional_argument, NULL, HEALTH},
    {NULL, 0, NULL, 0},
};

static const char *daemon_name(enum config_service service) {
    return service == CONFIG_ORDER ? "order-svc" : "delivery-svc";
}

static void print_usage(FILE *out, enum config_service service) {
    fprintf(
        out,
        "usage: %s [--env FILE] [--check-config | --print-config | --migrate | --health[=live] | --list-metrics |\n"
        "       --help | --version]\n",
        daemon_name(service));
    fprintf(out, "       %s [--env FILE] archive --older-than DURATION FILE\n", daemon_name(service));
    if (service == CONFIG_ORDER)
        fputs(
            "       order-svc [--env FILE] client add|list|rotate|retire|scope|disable|enable|delete ...\n"
            "       order-svc [--env FILE] token revoke ID | token revoke --client ID\n"
            "       order-svc [--env FILE] erase --customer ID [--client ID] [--actor NAME] | erase --repeat\n",
            out);
}

static void print_help(enum config_service service) {
    print_usage(stdout, service);
    puts(
        "\n"
        "  --env FILE      read NAME=value lines from FILE; the environment takes precedence\n"
        "  --check-config  check the configuration, report every error, and exit\n"
        "  --print-config  print all values, secrets as ***, and exit\n"
        "  --migrate       apply the pending database migrations, and exit\n"
        "  --health        ask the daemon that runs here whether it is ready, with the same settings for its address;\n"
        "                  exit with 0 if it is, else with 1 and a line that says why; --health=live: whether it lives\n"
        "  --list-metrics  print a table of the metrics of both daemons, and exit\n"
        "  --version       print the version, and exit\n"
        "\n"
        "Environment variables, with their defaults:\n");
    struct buf values = {0};
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        if (!(knob->service & service))
            continue;
        buf_clear(&values);
        config_describe(knob, &values);
        if (knob->type == CONFIG_SECRET)
            buf_printf(&values, "; or set %s_FILE to the path of a file with it", knob->name);
        printf("  %s=%s\n      %s (%s)\n", knob->name, knob->fallback, knob->help,
               values.data ? values.data : "");
    }
    buf_free(&values);
}

static void print_config(const struct config *config) {
    struct buf value = {0};
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        if (!(knob->service & config->service))
            continue;
        buf_clear(&value);
        config_show(config, knob, &value);
        printf("%s=%s\n", knob->name, value.data ? value.data : "");
    }
    buf_free(&value);
}

/* Lines tell of their process what its spans tell. A command has no settings of OpenTelemetry. */
static void name_log(const struct config *config) {
    static const char *const keys[] = {[LOG_SERVICE_NAME] = "service.name",
                                       [LOG_SERVICE_VERSION] = "service.version",
                                       [LOG_SERVICE_INSTANCE] = "service.instance.id"};
    char value[LOG_RESOURCE_SIZE];
    if (!(config->service & CONFIG_BOTH))
        return;
    for (size_t i = 0; i < LOG_RESOURCES; i++)
        if (tracing_resource_value(config->otel_resource_attributes, keys[i], value, sizeof value))
            log_set_resource((enum log_resource)i, value);
    if (*config->otel_service_name)
        log_set_resource(LOG_SERVICE_NAME, config->otel_service_name);
}

/* Sets up the log, and tells what is unsafe or surprising. */
static void log_warnings(enum config_service service, const struct config *config) {
    log_setup(service == CONFIG_ORDER ? "order-service" : "delivery-service",
              (enum log_level)config->log_level, (enum log_format)config->log_format);
    name_log(config);
    struct buf lines = {0};
    config_unsafe(config, &lines);
    buf_append(&lines, config->warnings.data, config->warnings.len);
    char *rest = lines.data;
    for (char *line; rest && (line = strtok_r(NULL, "\n", &rest)) != NULL;)
        log_warn(NULL, "%s", line);
    buf_free(&lines);
}

/* Keeps the secrets from other processes: no core dumps, no debuggers, no /proc/PID/environ. */
static void close_memory(const struct config *config) {
    if (config->app_env == ENV_PRODUCTION)
        (void)prctl(PR_SET_DUMPABLE, 0);
}

/* The settings that an action needs. subcommand: NULL when there is none. */
static enum config_service settings_of(enum config_service service, enum action action,
                                       const char *subcommand) {
    if (action == HEALTH)
        return service == CONFIG_ORDER ? CONFIG_ORDER_PROBE : CONFIG_DELIVERY_PROBE;
    if (action == MIGRATE || !subcommand)
        return action == MIGRATE ? CONFIG_COMMAND : service;
    return service == CONFIG_ORDER && strcmp(subcommand, "erase") == 0 ? CONFIG_CACHE_COMMAND
                                                                       : CONFIG_COMMAND;
}

/* What can be told without a configuration. False when it is not one of these actions. */
static bool tell(enum config_service service, enum action action) {
    struct buf table = {0};
    switch ((int)action) {
    case HELP:
        print_help(service);
        return true;
    case VERSION:
        printf("%s %s\n", daemon_name(service), SERVICE_VERSION);
        return true;
    case METRICS:
        metrics_describe(&table);
        fputs(table.data ? table.data : "", stdout);
        buf_free(&table);
        return true;
    default:
        return false;
    }
}

static const char *environment(const char *name) {
    return getenv(name);
}

static struct config *command_load(enum config_service service, enum config_service use,
                                   const char *env_file) {
    struct buf errors = {0};
    struct config *config = NULL;
    bool level_given = getenv("LOG_LEVEL");
    if (!env_file || config_read_env_file(env_file, &errors))
        config = config_load(use, environment, &errors);
    if (config && !level_given)
        config->level_file = env_file;
    if (!config)
        fprintf(stderr, "%s: invalid configuration:\n%s", daemon_name(service),
                errors.data ? errors.data : "out of memory\n");
    buf_free(&errors);
    return config;
}

/* The path of --health or --health=WHAT; NULL when there is no such health. */
static const char *health_path(const char *what) {
    if (!what || strcmp(what, "ready") == 0)
        return "/health/ready";
    return strcmp(what, "live") == 0 ? "/health/live" : NULL;
}

/* Sets the command's argument to the index of the first argument that is not an option, and its probe. */
static enum action parse_options(int argc, char *argv[], const char **env_file,
                                 struct config_command *command) {
    enum action action = RUN;
    optind = 0; /* resets getopt */
    for (int option; (option = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (option == '?')
            return BAD_USAGE;
        if (option == 'e')
            *env_file = optarg;
        else
            action = (enum action)option;
        if (option == HEALTH && !(command->probe = health_path(optarg)))
            return BAD_USAGE;
    }
    command->argument = optind;
    return action;
}

struct config_command config_command_line(enum config_service service, int argc, char *argv[]) {
    struct config_command command = {.exit_code = 2, .argument = argc};
    const char *env_file = NULL;
    enum action action = parse_options(argc, argv, &env_file, &command);
    if (action == BAD_USAGE) {
        print_usage(stderr, service);
        return command;
    }
    if (tell(service, action)) {
        command.exit_code = 0;
        return command;
    }
    if (action != HEALTH)
        command.probe = NULL;
    struct config *config =
        command_load(service, settings_of(service, action, argv[command.argument]), env_file);
    command.exit_code = config ? 0 : 1;
    command.config = config;
    if (action == HEALTH)
        return command;
    if (config && action == PRINT)
        print_config(config);
    if (config && action != PRINT)
        log_warnings(service, config);
    if (!config || action == PRINT) {
        config_free(config);
        command.config = NULL;
        return command;
    }
    command.check_only = action == CHECK;
    if (!command.check_only)
        close_memory(config);
    command.migrate_only = action == MIGRATE;
    return command;
}
