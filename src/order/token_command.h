/* The subcommand "order-svc token revoke ...". Operators revoke tokens with it. */
#pragma once

struct config;

/* argv[0] is "token". Returns the exit code: 0 on success, 1 on failure, 2 when the command line is wrong. */
int token_command(const struct config *config, int argc, char *argv[]);
