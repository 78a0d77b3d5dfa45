/* The life of the process: parts start in order, run until a signal, and stop in reverse. */
#pragma once

#include "common/service/service.h"

/* Starts the parts, waits for SIGTERM or SIGINT, and stops the parts in reverse order, within timeout_ms. A second
 * of these, or a stop that exceeds timeout_ms by a quarter, exits immediately with code 1. Returns the exit code.
 * SIGHUP reloads the parts, SIGUSR1 makes the log write debug lines until SIGUSR2. Other signals that are not about a fault
 * of the process are ignored.
 * systemd is notified when all parts have started, and when the stop begins (Type=notify). Call it on the main
 * thread, before there are others. NULL ends the list of parts. */
int lifecycle_run(const struct service_part *const parts[], void *app, int64_t timeout_ms);
