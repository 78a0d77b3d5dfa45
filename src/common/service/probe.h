/* The health check of a command line: asks the daemon that runs on this machine with the same settings. */
#pragma once

struct config;

/* Asks for a path such as /health/ready, at the address and port that config names, over TLS if it does. Waits 2 s at
 * most. Prints one line that says how it is. Returns the exit code: 0 when the answer is 200, else 1. */
int probe_daemon(const struct config *config, const char *path);
