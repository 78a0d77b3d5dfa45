/* The two clocks, and times as text. */
#pragma once

#include "common/base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TIME_TEXT_SIZE sizeof "2026-01-31T08:15:30.123Z"

/* Wall clock, milliseconds since 1970 (UTC): for what is stored or shown. */
int64_t clock_epoch_ms(void);

/* Monotonic clock, milliseconds: for deadlines and durations. */
int64_t clock_mono_ms(void);

/* RFC 3339, UTC, milliseconds. */
void clock_format(int64_t epoch_ms, char text[static TIME_TEXT_SIZE]);

/* The time of the monotonic clock in ms milliseconds, for waiting with a deadline. */
void clock_mono_after(int64_t ms, struct timespec *out);

/* Makes a condition whose deadlines are times of the monotonic clock. */
void clock_cond_init(pthread_cond_t *cond);

/* Sleeps to the full even when interrupted. */
void clock_sleep_ms(int64_t ms);
