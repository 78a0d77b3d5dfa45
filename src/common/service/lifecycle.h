/* The life of the process: parts start in order, run until a signal, and stop in reverse. */
#pragma once

#include "common/service/service.h"

/* Starts the parts, waits for SIGTERM or SIGINT, stops the parts within timeout_ms in reverse order. A second
 * signal, or a stop that overruns timeout_ms by a quarter, ends the process at once with exit code 1. Returns the
 * exit code. systemd is told when all have started, and when the stop begins (Type=notify). Call on the main
 * thread, before there are others. The list of parts ends with a NULL. */
int lifecycle_run(const struct service_part *const parts[], void *app, int64_t timeout_ms);
