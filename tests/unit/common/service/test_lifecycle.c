/* The life of a process: order of start and stop, signals, exit codes. Each test runs a child process whose
 * components tell what happens through a pipe. */
#include "common/service/service.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct app {
    int out;
};

static void tell(void *app, const char *word) {
    size_t len = strlen(word);
    if (write(((struct app *)app)->out, word, len) != (ssize_t)len)
        _exit(99);
}

static bool start_a(void *app) {
    tell(app, "+a");
    return true;
}

static void stop_a(void *app, int64_t deadline_ms) {
    (void)deadline_ms;
    tell(app, "-a");
}

static bool start_b(void *app) {
    tell(app, "+b");
    return true;
}

static void stop_b(void *app, int64_t deadline_ms) {
    (void)deadline_ms;
    tell(app, "-b");
}

static bool start_last(void *app) {
    tell(app, "+z");
    return true;
}

static bool start_failing(void *app) {
    tell(app, "+f");
    return false;
}

static bool start_signalled(void *app) {
    tell(app, "+s");
    return kill(getpid(), SIGTERM) == 0;
}

static bool start_broken_pipe(void *app) {
    int fds[2];
    bool survived = pipe(fds) == 0 && close(fds[0]) == 0 && write(fds[1], "x", 1) < 0;
    tell(app, survived ? "+p" : "?");
    return true;
}

static bool start_looking_up(void *app) {
    tell(app, getenv("RES_OPTIONS"));
    return false;
}

static void stop_hanging(void *app, int64_t deadline_ms) {
    (void)deadline_ms;
    tell(app, "-h");
    for (;;)
        pause();
}

struct child {
    pid_t pid;
    int in;
};

static struct child run(const struct service_component *components, size_t n, int64_t timeout_ms) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct app app = {fds[1]};
        close(fds[0]);
        log_setup("test", LOG_ERROR, LOG_TEXT);
        _exit(service_run(components, n, &app, timeout_ms));
    }
    close(fds[1]);
    return (struct child){pid, fds[0]};
}

/* Reads exactly the words that the child must tell next. */
static void hear(const struct child *child, const char *words) {
    char heard[64] = "";
    size_t len = 0;
    while (len < strlen(words)) {
        ssize_t got = read(child->in, heard + len, strlen(words) - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    assert_string_equal(heard, words);
}

/* Nothing more is told, and the process has ended by itself with this exit code. */
static void assert_ends(const struct child *child, int exit_code) {
    char more;
    assert_int_equal(read(child->in, &more, 1), 0);
    close(child->in);
    int status;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), exit_code);
}

static const struct service_component three[] = {
    {"a", start_a, stop_a}, {"b", start_b, stop_b}, {"last", start_last, NULL}};

static void test_stops_in_reverse(void **state) {
    (void)state;
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct child child = run(three, 3, 10000);
        hear(&child, "+a+b+z");
        kill(child.pid, signals[i]);
        hear(&child, "-b-a");
        assert_ends(&child, 0);
    }
}

static void test_failed_start_stops_what_started(void **state) {
    (void)state;
    const struct service_component components[] = {
        {"a", start_a, stop_a}, {"failing", start_failing, stop_b}, {"b", start_b, stop_b}};
    struct child child = run(components, 3, 10000);
    hear(&child, "+a+f-a");
    assert_ends(&child, 1);
}

static void test_signal_during_start_is_heard(void **state) {
    (void)state;
    const struct service_component components[] = {{"a", start_a, stop_a},
                                                   {"signalled", start_signalled, NULL}};
    struct child child = run(components, 2, 10000);
    hear(&child, "+a+s-a");
    assert_ends(&child, 0);
}

static void test_second_signal_ends_at_once(void **state) {
    (void)state;
    const struct service_component components[] = {
        {"a", start_a, stop_a}, {"hanging", start_b, stop_hanging}, {"last", start_last, NULL}};
    struct child child = run(components, 3, 3600000);
    hear(&child, "+a+b+z");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    kill(child.pid, SIGINT);
    assert_ends(&child, 1);
}

static void test_stop_that_hangs_is_ended(void **state) {
    (void)state;
    const struct service_component components[] = {{"hanging", start_a, stop_hanging}};
    struct child child = run(components, 1, 100);
    hear(&child, "+a");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    assert_ends(&child, 1);
}

/* A socket as systemd listens on; what is told to it must come within a minute. */
static int listen_as_manager(const struct sockaddr_un *address, size_t name_len) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, size), 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){60, 0}, sizeof(struct timeval)), 0);
    return fd;
}

static void assert_told(int manager, const char *state) {
    char told[64] = "";
    assert_true(recv(manager, told, sizeof told - 1, 0) > 0);
    assert_string_equal(told, state);
}

static void run_with_manager(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (*name == '@')
        address.sun_path[0] = '\0';
    int manager = listen_as_manager(&address, strlen(name));
    setenv("NOTIFY_SOCKET", name, 1);
    struct child child = run(three, 3, 10000);
    unsetenv("NOTIFY_SOCKET");
    assert_told(manager, "READY=1");
    hear(&child, "+a+b+z");
    kill(child.pid, SIGTERM);
    assert_told(manager, "STOPPING=1");
    hear(&child, "-b-a");
    assert_ends(&child, 0);
    close(manager);
}

static void test_manager_is_told(void **state) {
    (void)state;
    char folder[] = "/tmp/test_service.XXXXXX", name[64];
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/notify", folder);
    run_with_manager(name);
    unlink(name);
    rmdir(folder);
    name[0] = '@';
    run_with_manager(name);
}

static void test_manager_that_is_not_there_does_no_harm(void **state) {
    (void)state;
    static char long_name[200] = "/";
    memset(long_name + 1, 'x', sizeof long_name - 2);
    const char *const names[] = {"/nowhere/notify", long_name, ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        struct child child = run(three, 3, 10000);
        unsetenv("NOTIFY_SOCKET");
        hear(&child, "+a+b+z");
        kill(child.pid, SIGTERM);
        hear(&child, "-b-a");
        assert_ends(&child, 0);
    }
}

static void test_broken_pipe_does_not_kill(void **state) {
    (void)state;
    const struct service_component components[] = {{"broken pipe", start_broken_pipe, NULL}};
    struct child child = run(components, 1, 10000);
    hear(&child, "+p");
    kill(child.pid, SIGTERM);
    assert_ends(&child, 0);
}

static void test_names_are_looked_up_with_a_deadline(void **state) {
    (void)state;
    const struct service_component components[] = {{"looking up", start_looking_up, NULL}};
    unsetenv("RES_OPTIONS");
    struct child child = run(components, 1, 10000);
    hear(&child, "timeout:1 attempts:2");
    assert_ends(&child, 1);
    setenv("RES_OPTIONS", "timeout:3", 1); /* the operator knows better */
    child = run(components, 1, 10000);
    hear(&child, "timeout:3");
    assert_ends(&child, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_in_reverse),
        cmocka_unit_test(test_failed_start_stops_what_started),
        cmocka_unit_test(test_signal_during_start_is_heard),
        cmocka_unit_test(test_second_signal_ends_at_once),
        cmocka_unit_test(test_stop_that_hangs_is_ended),
        cmocka_unit_test(test_manager_is_told),
        cmocka_unit_test(test_manager_that_is_not_there_does_no_harm),
        cmocka_unit_test(test_broken_pipe_does_not_kill),
        cmocka_unit_test(test_names_are_looked_up_with_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
