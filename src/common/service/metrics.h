/* GET /metrics, on a port of its own: a server that asks for no token, and a collector of what others count. */
#pragma once

#include <stdint.h>

/* Functions of a service_part. app begins with a struct service. */
void *service_metrics_start(void *app);
void service_metrics_stop(void *metrics, int64_t deadline_ms);
