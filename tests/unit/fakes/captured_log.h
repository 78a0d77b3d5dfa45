/* What reaches standard error, where the log goes: captured in a file that stands in for it. Include after cmocka.h, in
 * one file of a test. */
#pragma once

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char captured[1 << 20];
static int real_stderr, capture_fd;

static inline void capture_begin(void) {
    real_stderr = dup(STDERR_FILENO);
    capture_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(real_stderr >= 0 && capture_fd >= 0);
    assert_int_equal(fcntl(capture_fd, F_SETFL, O_APPEND), 0);
    assert_int_equal(dup2(capture_fd, STDERR_FILENO), STDERR_FILENO);
}

/* All that was written; valid until the next call. */
static inline const char *capture_end(void) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t len = pread(capture_fd, captured, sizeof captured - 1, 0);
    close(capture_fd);
    assert_true(len >= 0);
    captured[len] = '\0';
    return captured;
}

static inline size_t count_lines(const char *text) {
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}
