/* The thread that writes log lines, and the bounded buffer before it. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* report is called on the writer's thread, behind the lines that did fit. It writes with log_writer_direct how many
 * lines were dropped: a line of its own in the buffer could be dropped, too. False when out of memory or threads. */
bool log_writer_start(void (*report)(unsigned long long dropped)) MUST_CHECK;

/* Hands a line over, or drops it when the buffer is full. False when no writer runs. Any thread, never blocks. */
bool log_writer_put(const char *line, size_t len);

/* The lines that were dropped since the start. Any thread. */
unsigned long long log_writer_dropped(void);

/* Waits up to wait_ms for the buffer to be written, then ends the writer. A writer that hangs is left behind. */
void log_writer_stop(int64_t wait_ms);

/* Writes to standard error. Ignores errors: there is nowhere to report them. */
void log_writer_direct(const char *data, size_t len);
