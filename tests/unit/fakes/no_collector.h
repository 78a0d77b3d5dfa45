/* Set-up and tear-down of a test: tracing is on, all is recorded, and no collector answers. */
#pragma once

#include "common/tracing/tracing.h"

static int no_collector_start(void **state) {
    (void)state;
    const struct tracing_options options = {.endpoint = "http://127.0.0.1:1",
                                            .traces_endpoint = "",
                                            .timeout_ms = 1000,
                                            .service = "s",
                                            .resource = "",
                                            .ratio = "1",
                                            .pause_ms = 60000};
    return tracing_start(&options) ? 0 : -1;
}

static int no_collector_stop(void **state) {
    (void)state;
    tracing_stop(0);
    return 0;
}
