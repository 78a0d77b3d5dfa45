/* What order-svc keeps only in memory: limits, and answers that hardly ever change. Functions of a service_part. app is
 * the struct order_app. */
#pragma once

#include <stdint.h>

void *memory_start(void *app);
void memory_stop(void *app, int64_t deadline_ms);
