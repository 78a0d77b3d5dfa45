/* The job that keeps the partitions of the history: it makes those of the next days, and drops the oldest. */
#pragma once

#include <stdint.h>

void *history_start(void *app);
void history_stop(void *job, int64_t deadline_ms);
