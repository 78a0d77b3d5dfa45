/* The subcommand "order-svc erase ...". Operators erase customers with it. */
#pragma once

struct config;

/* argv[0] is "erase". Returns the exit code: 0 when all is done, 1 when something is left (run it again), 2 when the command
 * line is wrong. */
int erasure_command(const struct config *config, int argc, char *argv[]);
