/* Log lines as they reach standard error: captured in a file that stands in for it. */
#include "common/base/instance.h"
#include "common/base/log.h"
#include "common/base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fakes/captured_log.h"
#include "fakes/rows.h"

/* One line, parsed; the caller owns the result. */
static json_t *parse_line(const char *line) {
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    json_t *entry = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(entry);
    return entry;
}

static const char *member(json_t *entry, const char *name) {
    return json_string_value(json_object_get(entry, name));
}

static void json_lines_have_their_members_in_order(void **state) {
    (void)state;
    log_setup("order-service", LOG_INFO, LOG_JSON);
    capture_begin();
    log_warn("req-1", "order %d is late", 7);
    const char *line = capture_end();

    json_t *entry = parse_line(line);
    static const char *const names[] = {
        "timestamp",  "severity_text", "severity_number", "body",
        "request_id", "service.name",  "service.version", "service.instance.id"};
    size_t i = 0;
    const char *name;
    json_t *value;
    json_object_foreach(entry, name, value) {
        assert_true(i < sizeof names / sizeof *names);
        assert_string_equal(name, names[i++]);
    }
    assert_int_equal(i, sizeof names / sizeof *names);
    assert_int_equal(strlen(member(entry, "timestamp")), strlen("2026-01-31T08:15:30.123Z"));
    assert_string_equal(member(entry, "severity_text"), "WARN");
    assert_int_equal(json_integer_value(json_object_get(entry, "severity_number")), 13);
    assert_string_equal(member(entry, "service.name"), "order-service");
    assert_string_equal(member(entry, "service.version"), SERVICE_VERSION);
    assert_string_equal(member(entry, "service.instance.id"), instance_id());
    assert_string_equal(member(entry, "body"), "order 7 is late");
    assert_string_equal(member(entry, "request_id"), "req-1");
    json_decref(entry);
}

static void the_request_id_is_left_out_when_there_is_none(void **state) {
    (void)state;
    log_setup("s", LOG_INFO, LOG_AUTO); /* no terminal here: JSON */
    capture_begin();
    log_info(NULL, "started");
    json_t *entry = parse_line(capture_end());
    assert_null(json_object_get(entry, "request_id"));
    json_decref(entry);
}

static void the_ids_of_a_recorded_trace_are_told(void **state) {
    (void)state;
    log_setup("s", LOG_INFO, LOG_JSON);
    trace_set_current("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 state=1");
    capture_begin();
    log_info("req-1", "x");
    json_t *entry = parse_line(capture_end());
    assert_string_equal(member(entry, "trace_id"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(member(entry, "span_id"), "b7ad6b7169203331");
    assert_string_equal(member(entry, "trace_flags"), "01");
    json_decref(entry);
    trace_set_current(NULL);
    capture_begin();
    log_info("req-1", "x");
    entry = parse_line(capture_end());
    assert_null(json_object_get(entry, "trace_id"));
    assert_null(json_object_get(entry, "span_id"));
    assert_null(json_object_get(entry, "trace_flags"));
    json_decref(entry);
}

static void what_a_line_tells_of_its_process_can_be_set(void **state) {
    (void)state;
    log_setup("order-service", LOG_INFO, LOG_JSON);
    log_set_resource(LOG_SERVICE_NAME, "shop \"7\"");
    log_set_resource(LOG_SERVICE_VERSION, "2.0-rc");
    log_set_resource(LOG_SERVICE_INSTANCE, "pod-1");
    capture_begin();
    log_info(NULL, "x");
    json_t *entry = parse_line(capture_end());
    assert_string_equal(member(entry, "service.name"), "shop \"7\"");
    assert_string_equal(member(entry, "service.version"), "2.0-rc");
    assert_string_equal(member(entry, "service.instance.id"), "pod-1");
    json_decref(entry);
}

static void severities_have_the_numbers_of_opentelemetry(void **state) {
    (void)state;
    static const struct {
        enum log_level level;
        const char *text;
        int number;
    } cases[] = {
        {LOG_DEBUG, "DEBUG", 5}, {LOG_INFO, "INFO", 9}, {LOG_WARN, "WARN", 13}, {LOG_ERROR, "ERROR", 17}};
    log_setup("s", LOG_DEBUG, LOG_JSON);
    for_each_row(i, cases, "%s", cases[i].text) {
        capture_begin();
        log_write(cases[i].level, NULL, "x");
        json_t *entry = parse_line(capture_end());
        assert_string_equal(member(entry, "severity_text"), cases[i].text);
        assert_int_equal(json_integer_value(json_object_get(entry, "severity_number")), cases[i].number);
        json_decref(entry);
    }
}

static void lines_below_the_level_are_not_written(void **state) {
    (void)state;
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
    for (int i = 0; i < 4; i++) {
        log_setup("s", levels[i], LOG_TEXT);
        capture_begin();
        log_debug(NULL, "x");
        log_info(NULL, "x");
        log_warn(NULL, "x");
        log_error(NULL, "x");
        int lines = 0;
        for (const char *c = capture_end(); *c; c++)
            lines += *c == '\n';
        assert_int_equal(lines, 4 - i);
        for (int k = 0; k < 4; k++)
            assert_int_equal(log_enabled(levels[k]), k >= i);
    }
}

static void no_input_forges_a_json_line(void **state) {
    (void)state;
    static const char evil[] = "x\"}\n{\"severity_text\":\"ERROR\",\"body\":\"forged\"}\n\x1b[2J\\";
    log_setup("s", LOG_INFO, LOG_JSON);
    capture_begin();
    log_info(evil, "%s", evil);
    json_t *entry = parse_line(capture_end());
    assert_string_equal(member(entry, "severity_text"), "INFO");
    assert_string_equal(member(entry, "body"), evil);
    assert_string_equal(member(entry, "request_id"), evil);
    json_decref(entry);
}

static void bytes_that_are_not_utf8_do_not_spoil_the_line(void **state) {
    (void)state;
    log_setup("s", LOG_INFO, LOG_JSON);
    capture_begin();
    log_info(NULL, "path /%s", "caf\xe9\xff");
    json_t *entry = parse_line(capture_end());
    assert_string_equal(member(entry, "body"), "path /caf??");
    json_decref(entry);
}

static void a_terminal_gets_lines_of_text(void **state) {
    (void)state;
    static const struct {
        enum log_level level;
        const char *request_id, *message, *rest;
    } cases[] = {
        {LOG_INFO, "req-1", "hello", " INFO  hello [req-1]\n"},
        {LOG_ERROR, NULL, "gr\xc3\xbc\xc3\x9f", " ERROR gr\xc3\xbc\xc3\x9f\n"},
        {LOG_WARN, NULL, "a\nb\x1b[2J\x7f", " WARN  a\\x0ab\\x1b[2J\\x7f\n"},
        {LOG_INFO, "i\n", "\xc2\x9b\x32J\xc2\xa9", " INFO  \\xc2\\x9b\x32J\xc2\xa9 [i\\x0a]\n"},
    };
    log_setup("s", LOG_INFO, LOG_TEXT);
    for_each_row(i, cases, "%s", cases[i].rest) {
        capture_begin();
        log_write(cases[i].level, cases[i].request_id, "%s", cases[i].message);
        const char *line = capture_end();
        assert_int_equal(line[2], ':');
        assert_int_equal(line[8], '.');
        assert_string_equal(line + strlen("08:15:30.123"), cases[i].rest);
    }
}

static void long_messages_are_cut_with_a_mark(void **state) {
    (void)state;
    static char text[20001];
    /* Two-byte characters, once at even and once at odd offsets: one of the two would be cut in its middle.
     */
    for (int shift = 0; shift < 2; shift++) {
        memset(text, 'x', sizeof text - 1);
        for (size_t i = (size_t)shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xbc", 2);
        log_setup("s", LOG_INFO, LOG_JSON);
        capture_begin();
        log_info("req-1", "%s", text);
        json_t *entry = parse_line(capture_end());
        const char *message = member(entry, "body");
        size_t len = strlen(message);
        assert_in_range(len, 8000, 8192);
        assert_string_equal(message + len - strlen(" ...[cut]"), " ...[cut]");
        assert_memory_equal(message, text, len - strlen(" ...[cut]"));
        assert_string_equal(member(entry, "request_id"), "req-1");
        json_decref(entry);
    }
}

enum { THREADS = 4, LINES = 200 };

static void *log_lines(void *arg) {
    for (int i = 0; i < LINES; i++)
        log_info(arg, "%0500d", i);
    return NULL;
}

static void the_lines_of_threads_do_not_mix(void **state) {
    (void)state;
    log_setup("s", LOG_INFO, LOG_JSON);
    capture_begin();
    pthread_t threads[THREADS];
    static char ids[THREADS][2] = {"0", "1", "2", "3"};
    int started = 0;
    while (started < THREADS && pthread_create(&threads[started], NULL, log_lines, ids[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    const char *line = capture_end();
    assert_int_equal(started, THREADS);

    int next[THREADS] = {0};
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *entry = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(entry);
        int thread = member(entry, "request_id")[0] - '0';
        assert_int_equal(strtol(member(entry, "body"), NULL, 10), next[thread]++);
        json_decref(entry);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_have_their_members_in_order),
        cmocka_unit_test(the_request_id_is_left_out_when_there_is_none),
        cmocka_unit_test(the_ids_of_a_recorded_trace_are_told),
        cmocka_unit_test(what_a_line_tells_of_its_process_can_be_set),
        cmocka_unit_test(severities_have_the_numbers_of_opentelemetry),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(no_input_forges_a_json_line),
        cmocka_unit_test(bytes_that_are_not_utf8_do_not_spoil_the_line),
        cmocka_unit_test(a_terminal_gets_lines_of_text),
        cmocka_unit_test(long_messages_are_cut_with_a_mark),
        cmocka_unit_test(the_lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
