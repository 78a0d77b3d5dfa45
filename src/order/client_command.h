/* The subcommand "order-svc client ...": the operator's way to add, list, rotate and disable OAuth clients.
 */
#pragma once

struct config;

/* argv[0] is "client". Returns the exit code: 0, 1 when it failed, 2 when the command line is wrong. */
int client_command(const struct config *config, int argc, char *argv[]);
