/* The subcommand "order-svc client ...". Operators use it to add, list, rotate and disable OAuth clients. */
#pragma once

struct config;

/* argv[0] is "client". Returns the exit code: 0 on success, 1 on failure, 2 when the command line is wrong. */
int client_command(const struct config *config, int argc, char *argv[]);
