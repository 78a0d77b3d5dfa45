/* The two clocks, and times as text. */
#pragma once

#include "common/base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_LATEST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

#define TIME_TEXT_SIZE sizeof "2026-01-31T08:15:30.123Z"

/* Wall clock, milliseconds since 1970 (UTC): for what is stored or shown. */
int64_t clock_epoch_ms(void);

/* Monotonic clock, milliseconds: for deadlines and durations. */
int64_t clock_mono_ms(void);

/* The same in nanoseconds: for durations that are measured. */
int64_t clock_mono_ns(void);

/* Writes a time as RFC 3339 text, in UTC, with milliseconds. Clamps it to the years 0000 to 9999. */
void clock_format(int64_t epoch_ms, char text[static TIME_TEXT_SIZE]);

/* Reads what clock_format writes. False when text is something else. */
bool clock_parse(const char *text, int64_t *epoch_ms) MUST_CHECK;

/* Reads any RFC 3339 time: of any offset, with up to nine decimals. What is finer than a millisecond is cut off, or with up
 * rounded up. What is before 1970 becomes the beginning of it. False when text is something else. */
bool clock_parse_any(const char *text, bool up, int64_t *epoch_ms) MUST_CHECK;

/* Sets *out to the time ms milliseconds from now, on the monotonic clock. */
void clock_mono_after(int64_t ms, struct timespec *out);

/* Initialises a condition variable whose deadlines are on the monotonic clock. */
void clock_cond_init(pthread_cond_t *cond);

/* Sleeps for the full time, even when a signal interrupts it. */
void clock_sleep_ms(int64_t ms);
