/* The observer: a job that counts what waits in outboxes and queues, for the metrics. */
#pragma once

#include <stdint.h>

#define OBSERVED_QUEUES 3 /* of a daemon at most */

/* Functions of a service_part. app begins with a struct service. */
void *observer_start(void *app);
void observer_stop(void *observer, int64_t deadline_ms);
