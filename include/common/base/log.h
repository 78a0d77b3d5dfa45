/* The log: one line per event on standard error, as JSON, or as readable text on a terminal. The members of the JSON are
 * those of OpenTelemetry's log data model (docs/OBSERVABILITY.md).
 *
 * Thread-safe: each line is one write(2). Values are escaped, so no input can forge a line. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_JSON, LOG_TEXT }; /* LOG_AUTO: text on a terminal, else JSON */

/* Call once in main before any thread starts. service becomes service.name; it is borrowed and must stay valid. */
void log_setup(const char *service, enum log_level level, enum log_format format);

#define LOG_RESOURCE_SIZE 256

enum log_resource { LOG_SERVICE_NAME, LOG_SERVICE_VERSION, LOG_SERVICE_INSTANCE, LOG_RESOURCES };

/* After log_setup, before any thread starts: what lines have as service.name, service.version or service.instance.id,
 * instead of the service, the version of the build, or instance_id. Copied, and cut after LOG_RESOURCE_SIZE - 1 bytes. */
void log_set_resource(enum log_resource member, const char *value);

/* Both any time, on any thread: the minimum level from now on; and whether debug lines are written whatever it is. */
void log_set_level(enum log_level level);
void log_set_verbose(bool verbose);

/* Starts a thread that does the writing. From then on no caller waits for whoever reads standard error: lines go
 * through a bounded buffer. What does not fit is dropped, and the number of dropped lines is logged. False when out of
 * memory or threads. */
bool log_start(void) MUST_CHECK;

/* Gives the thread up to wait_ms to write what is left. If it did so, later lines are written by their callers again;
 * if not, they are lost. */
void log_stop(int64_t wait_ms);

/* The lines that were dropped since the start. Any thread. */
unsigned long long log_dropped(void);

bool log_enabled(enum log_level level);

/* request_id ties the line to a request or message. NULL when it belongs to none. A line in JSON also has trace_id,
 * span_id and trace_flags, when the thread works for a trace that is recorded (trace_set_current in trace.h). */
void log_write(enum log_level level, const char *request_id, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_debug(request_id, ...)                                                                           \
    do {                                                                                                     \
        if (log_enabled(LOG_DEBUG))                                                                          \
            log_write(LOG_DEBUG, request_id, __VA_ARGS__);                                                   \
    } while (0)
#define log_info(request_id, ...) log_write(LOG_INFO, request_id, __VA_ARGS__)
#define log_warn(request_id, ...) log_write(LOG_WARN, request_id, __VA_ARGS__)
#define log_error(request_id, ...) log_write(LOG_ERROR, request_id, __VA_ARGS__)
