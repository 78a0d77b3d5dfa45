/* The command line that both daemons share. */
#pragma once

#include "common/config/config.h"

/* The command line of a daemon. Loads the configuration, sets up the log, and handles the options that need no
 * daemon. Call it before any thread starts.
 *
 * --env FILE --help --version --list-metrics --check-config --print-config --migrate --health
 *
 * In production the process leaves no core dump and lets no debugger attach from then on. */
struct config_command {
    struct config *config; /* NULL: exit with exit_code */
    bool migrate_only;
    const char *probe; /* ask the daemon that runs for this path, and exit; NULL: do not */
    bool check_only;   /* the settings are good: check what the machine offers, and exit */
    int exit_code;
    int argument; /* index of the first argument that is not an option: a subcommand; argc if there is none */
};
struct config_command config_command_line(enum config_service service, int argc, char *argv[]);
