/* Log lines while nobody, or somebody slow, reads standard error. Each test runs a child process, whose standard error is
 * a pipe. */
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 4,
    LINES = 2000,    /* of each thread: several times what a pipe and the buffers hold */
    FEW = 70,        /* lines that fit */
    WAIT_MS = 100,   /* that log_stop waits for a reader */
    PATIENCE_S = 60, /* until a child that hangs is killed */
    TEXT_SIZE = 1 << 24,
};

static void *log_lines(void *arg) {
    const int *count = arg;
    for (int i = 0; i < *count; i++)
        log_info(NULL, "line %0500d", i);
    return NULL;
}

static void log_from_threads(int count) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, log_lines, &count) != 0)
            _exit(99);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void start_log(void) {
    log_setup("s", LOG_INFO, LOG_JSON);
    if (!log_start())
        _exit(98);
}

/* What the child does; told is a pipe to the test. */
typedef void child_function(int told);

static void log_few(int told) {
    (void)told;
    start_log();
    log_from_threads(FEW);
    log_stop(PATIENCE_S * 1000);
}

static void log_too_much(int told) {
    start_log();
    log_from_threads(LINES);
    (void)!write(told, "x", 1); /* now the test reads */
    log_stop(PATIENCE_S * 1000);
}

static void log_and_leave(int told) {
    start_log();
    log_from_threads(LINES);
    log_stop(WAIT_MS);
    log_error(NULL, "nobody waits for this line");
    (void)!write(told, "x", 1);
    _exit(0); /* as the signal thread does */
}

static void log_without_blocking(int told) {
    (void)!fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    log_too_much(told);
}

static void log_again(int told) {
    log_few(told);
    log_info(NULL, "line between");
    log_few(told);
}

struct child {
    pid_t pid;
    int errors, told;
};

static struct child begin(child_function *function) {
    int errors[2], told[2];
    assert_int_equal(pipe(errors), 0);
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(PATIENCE_S);
        dup2(errors[1], STDERR_FILENO);
        close(errors[0]);
        close(errors[1]);
        function(told[1]);
        _exit(0);
    }
    close(errors[1]);
    close(told[1]);
    return (struct child){pid, errors[0], told[0]};
}

/* Waits until the child tells of its next step. */
static void await(const struct child *child) {
    char x;
    assert_int_equal(read(child->told, &x, 1), 1);
}

/* All that the child logs until it ends, which it must do well. */
static const char *finish(const struct child *child) {
    static char text[TEXT_SIZE];
    size_t len = 0;
    ssize_t got;
    while ((got = read(child->errors, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    int status;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(child->errors);
    close(child->told);
    return text;
}

static int count(const char *text, const char *words) {
    int found = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        found++;
    return found;
}

/* The sum of the lines that were dropped, as they are told. */
static unsigned long long told_dropped(const char *text) {
    static const char before[] = "\"body\":\"", behind[] = " log line(s) were dropped";
    unsigned long long sum = 0;
    for (; (text = strstr(text, before)) != NULL; text++) {
        char *end;
        unsigned long long number = strtoull(text + strlen(before), &end, 10);
        if (strncmp(end, behind, strlen(behind)) == 0)
            sum += number;
    }
    return sum;
}

static void what_fits_is_written_to_the_last_line(void **state) {
    (void)state;
    struct child child = begin(log_few);
    assert_int_equal(count(finish(&child), "\"line 0"), THREADS * FEW);
}

static void what_does_not_fit_is_counted(void **state) {
    (void)state;
    struct child child = begin(log_too_much);
    await(&child);
    const char *text = finish(&child);
    int written = count(text, "\"line 0");
    assert_true(written < THREADS * LINES);
    assert_int_equal((unsigned long long)written + told_dropped(text), THREADS * LINES);
    assert_int_equal(count(text, "{\"timestamp\""), count(text, "}\n")); /* whole lines only */
}

static void nobody_waits_for_a_reader_that_stopped(void **state) {
    (void)state;
    struct child child = begin(log_and_leave);
    await(&child);
    assert_int_equal(count(finish(&child), "nobody waits"), 0);
}

static void a_pipe_that_does_not_block_loses_nothing(void **state) {
    (void)state;
    struct child child = begin(log_without_blocking);
    await(&child);
    const char *text = finish(&child);
    assert_int_equal((unsigned long long)count(text, "\"line 0") + told_dropped(text), THREADS * LINES);
    assert_int_equal(count(text, "{\"timestamp\""), count(text, "}\n"));
}

static void the_log_works_before_between_and_behind_its_writer(void **state) {
    (void)state;
    struct child child = begin(log_again);
    const char *text = finish(&child);
    assert_int_equal(count(text, "\"line 0"), 2 * THREADS * FEW);
    assert_int_equal(count(text, "line between"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_written_to_the_last_line),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(nobody_waits_for_a_reader_that_stopped),
        cmocka_unit_test(a_pipe_that_does_not_block_loses_nothing),
        cmocka_unit_test(the_log_works_before_between_and_behind_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
