/* The life of the process: components start in order, run until a signal, and stop in reverse. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_component {
    const char *name;
    bool (*start)(void *app); /* false: the reason is logged; those started are stopped */
    void (*stop)(void *app,
                 int64_t deadline_ms); /* deadline on clock_mono_ms's clock; NULL: nothing to stop */
};

/* Starts the components, waits for SIGTERM or SIGINT, stops them within timeout_ms in reverse order. A second
 * signal, or a stop that overruns timeout_ms by a quarter, ends the process at once with exit code 1. Returns
 * the exit code. systemd is told when all have started, and when the stop begins (Type=notify). Call on the
 * main thread, before there are others. */
int service_run(const struct service_component *components, size_t n, void *app, int64_t timeout_ms);
