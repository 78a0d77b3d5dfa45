/* Writing log lines. */
#include "common/base/log.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/instance.h"
#include "common/base/json_write.h"
#include "common/base/trace.h"
#include "common/base/utf8.h"
#include "log_writer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_SIZE 8192

/* Set once, before the process starts threads; but for the level, which an operator may change. */
static struct {
    const char *service;
    char resource[LOG_RESOURCES][LOG_RESOURCE_SIZE]; /* set by hand; "": not */
    _Atomic(enum log_level) level;
    atomic_bool verbose;
    bool text;
    bool journal; /* standard error is systemd's journal */
} setup = {.service = "", .level = LOG_INFO};

/* As OpenTelemetry names and numbers them. */
static const char *const severity_texts[] = {"DEBUG", "INFO", "WARN", "ERROR"};
static const int severity_numbers[] = {5, 9, 13, 17};
static const int journal_priorities[] = {7, 6, 4, 3};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

/* The journal tells who is connected to it by device and inode (systemd.exec(5)). */
static bool is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat file;
    char *end;
    if (!stream || fstat(STDERR_FILENO, &file) != 0)
        return false;
    unsigned long long device = strtoull(stream, &end, 10);
    return *end == ':' && device == file.st_dev && strtoull(end + 1, &end, 10) == file.st_ino;
}

void log_setup(const char *service, enum log_level level, enum log_format format) {
    setup.service = service;
    memset(setup.resource, 0, sizeof setup.resource);
    setup.level = level;
    setup.text = format == LOG_TEXT || (format == LOG_AUTO && isatty(STDERR_FILENO));
    setup.journal = is_journal();
}

void log_set_resource(enum log_resource member, const char *value) {
    snprintf(setup.resource[member], sizeof setup.resource[member], "%s", value);
}

void log_set_level(enum log_level level) {
    setup.level = level;
}

void log_set_verbose(bool verbose) {
    setup.verbose = verbose;
}

bool log_enabled(enum log_level level) {
    return level >= atomic_load_explicit(&setup.level, memory_order_relaxed) ||
           atomic_load_explicit(&setup.verbose, memory_order_relaxed);
}

/* A message may quote any input. If it is not UTF-8, its non-ASCII bytes become '?', so that the line is not
 * lost. */
static void make_utf8(char *text) {
    if (utf8_valid(text))
        return;
    for (; *text; text++) {
        if (*text & 0x80)
            *text = '?';
    }
}

PRINTF_LIKE(2, 0)
static void format_message(char message[static MESSAGE_SIZE], const char *format, va_list args) {
    static const char mark[] = " ...[cut]";
    int len = vsnprintf(message, MESSAGE_SIZE, format, args);
    if (len < 0)
        snprintf(message, MESSAGE_SIZE, "(message could not be formatted)");
    if (len >= MESSAGE_SIZE) {
        size_t end = MESSAGE_SIZE - sizeof mark;
        for (int i = 0; i < 3 && (message[end] & 0xc0) == 0x80; i++) /* do not cut a character */
            end--;
        memcpy(message + end, mark, sizeof mark);
    }
    make_utf8(message);
}

static void append_resource(struct buf *line) {
    const struct {
        const char *name, *value;
    } members[] = {[LOG_SERVICE_NAME] = {"service.name", setup.service},
                   [LOG_SERVICE_VERSION] = {"service.version", SERVICE_VERSION},
                   [LOG_SERVICE_INSTANCE] = {"service.instance.id", instance_id()}};
    for (size_t i = 0; i < LOG_RESOURCES; i++) {
        buf_printf(line, ",\"%s\":", members[i].name);
        json_append_text(line, *setup.resource[i] ? setup.resource[i] : members[i].value);
    }
}

/* The names are those of OpenTelemetry's log data model, in the spelling that it gives for logs in JSON. */
static void append_json(struct buf *line, enum log_level level, const char *request_id, const char *message) {
    buf_str(line, "{\"timestamp\":");
    json_append_time(line, clock_epoch_ms());
    buf_printf(line, ",\"severity_text\":\"%s\",\"severity_number\":%d,\"body\":", severity_texts[level],
               severity_numbers[level]);
    json_append_text(line, message);
    if (request_id) {
        buf_str(line, ",\"request_id\":");
        json_append_text(line, request_id);
    }
    const char *trace = trace_current();
    if (trace)
        buf_printf(line, ",\"trace_id\":\"%.32s\",\"span_id\":\"%.16s\",\"trace_flags\":\"%.2s\"", trace + 3,
                   trace + 36, trace + 53);
    append_resource(line);
    buf_str(line, "}\n");
}

/* The length in bytes of the control character at the start of text; 0 if there is none. */
static int control_length(const char *text) {
    unsigned char c = (unsigned char)text[0];
    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && (unsigned char)text[1] < 0xa0 ? 2 : 0; /* U+0080 to U+009F */
}

/* Escapes control characters, so that neither line breaks nor escape sequences reach the terminal. */
static void append_visible(struct buf *line, const char *text) {
    while (*text) {
        int control = control_length(text);
        if (control == 0)
            buf_char(line, *text++);
        for (; control > 0; control--)
            buf_printf(line, "\\x%02x", (unsigned char)*text++);
    }
}

static void append_text(struct buf *line, enum log_level level, const char *request_id, const char *message) {
    char now[TIME_TEXT_SIZE];
    clock_format(clock_epoch_ms(), now);
    buf_printf(line, "%.12s %s ", now + strlen("2026-01-31T"), level_labels[level]);
    append_visible(line, message);
    if (request_id) {
        buf_str(line, " [");
        append_visible(line, request_id);
        buf_char(line, ']');
    }
    buf_char(line, '\n');
}

/* direct: not through the writer's buffer. */
PRINTF_LIKE(4, 0)
static void write_line(bool direct, enum log_level level, const char *request_id, const char *format,
                       va_list args) {
    char message[MESSAGE_SIZE];
    struct buf line = {0};
    format_message(message, format, args);
    if (setup.journal)
        buf_printf(&line, "<%d>", journal_priorities[level]); /* sd-daemon(3) */
    if (setup.text)
        append_text(&line, level, request_id, message);
    else
        append_json(&line, level, request_id, message);

    static const char no_memory[] =
        "{\"severity_text\":\"ERROR\",\"severity_number\":17,\"body\":\"out of memory for a log line\"}\n";
    const char *data = line.failed ? no_memory : line.data;
    size_t len = line.failed ? sizeof no_memory - 1 : line.len;
    if (direct || !log_writer_put(data, len))
        log_writer_direct(data, len);
    buf_free(&line);
}

void log_write(enum log_level level, const char *request_id, const char *format, ...) {
    if (!log_enabled(level))
        return;
    va_list args;
    va_start(args, format);
    write_line(false, level, request_id, format, args);
    va_end(args);
}

PRINTF_LIKE(2, 3)
static void write_directly(enum log_level level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(true, level, NULL, format, args);
    va_end(args);
}

static void report_dropped(unsigned long long dropped) {
    write_directly(LOG_WARN, "%llu log line(s) were dropped: standard error is read too slowly", dropped);
}

bool log_start(void) {
    return log_writer_start(report_dropped);
}

void log_stop(int64_t wait_ms) {
    log_writer_stop(wait_ms);
}

unsigned long long log_dropped(void) {
    return log_writer_dropped();
}
