/* The life of a process: order of start and stop, signals, exit codes. Each test runs a child process whose
 * parts tell what happens through a pipe. */
#include "common/service/lifecycle.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fakes/rows.h"

struct app {
    int out;
    const void *placed; /* of part a */
};

static struct app told_to; /* the child's */

static void tell(void *app, const char *word) {
    size_t len = strlen(word);
    if (write(((struct app *)app)->out, word, len) != (ssize_t)len)
        _exit(99);
}

/* What start returned must come to stop, and to the place in the app. */
static char part_a[] = "-a", part_b[] = "-b";

static void *start_a(void *app) {
    tell(app, "+a");
    return part_a;
}

static void *start_b(void *app) {
    tell(app, ((struct app *)app)->placed == part_a ? "+b" : "?");
    return part_b;
}

static void stop_part(void *part, int64_t deadline_ms) {
    (void)deadline_ms;
    tell(&told_to, part);
}

static void *start_last(void *app) {
    tell(app, "+z");
    return app;
}

static void *start_failing(void *app) {
    tell(app, "+f");
    return NULL;
}

static void *start_signalled(void *app) {
    tell(app, "+s");
    return kill(getpid(), SIGTERM) == 0 ? app : NULL;
}

static void *start_reloaded(void *app) {
    tell(app, "+r");
    return kill(getpid(), SIGHUP) == 0 ? app : NULL;
}

static void reload_part(void *app) {
    tell(app, log_enabled(LOG_DEBUG) ? "loud" : "soft");
}

static void *start_broken_pipe(void *app) {
    int fds[2];
    bool survived = pipe(fds) == 0 && close(fds[0]) == 0 && write(fds[1], "x", 1) < 0;
    tell(app, survived ? "+p" : "?");
    return app;
}

static void *start_looking_up(void *app) {
    tell(app, getenv("RES_OPTIONS"));
    return NULL;
}

static void stop_hanging(void *part, int64_t deadline_ms) {
    (void)part, (void)deadline_ms;
    tell(&told_to, "-h");
    for (;;)
        pause();
}

/* From now on standard error is a pipe that is full, and that nobody reads. */
static void *start_filling_log(void *app) {
    static int fds[2];
    char text[4096] = "";
    bool ready =
        pipe(fds) == 0 && dup2(fds[1], STDERR_FILENO) >= 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0;
    while (ready && write(fds[1], text, sizeof text) > 0)
        continue;
    ready = ready && fcntl(fds[1], F_SETFL, 0) == 0;
    for (int i = 0; i < 1000; i++)
        log_error(NULL, "line %01000d", i);
    tell(app, ready ? "+l" : "?");
    return app;
}

static const struct service_part a = {
    .name = "a", .place = offsetof(struct app, placed), .start = start_a, .stop = stop_part};
static const struct service_part b = {.name = "b", .start = start_b, .stop = stop_part};
static const struct service_part last = {.name = "last", .start = start_last};
static const struct service_part failing = {.name = "failing", .start = start_failing, .stop = stop_part};
static const struct service_part signalled = {.name = "signalled", .start = start_signalled};
static const struct service_part hanging = {.name = "hanging", .start = start_b, .stop = stop_hanging};
static const struct service_part filling_log = {.name = "filling log", .start = start_filling_log};
static const struct service_part broken_pipe = {.name = "broken pipe", .start = start_broken_pipe};
static const struct service_part reloaded = {
    .name = "reloaded", .start = start_reloaded, .reload = reload_part};
static const struct service_part looking_up = {.name = "looking up", .start = start_looking_up};

static const struct service_part *const three[] = {&a, &b, &last, NULL};

struct child {
    pid_t pid;
    int in;
};

static struct child run(const struct service_part *const parts[], int64_t timeout_ms) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        told_to.out = fds[1];
        close(fds[0]);
        log_setup("test", LOG_ERROR, LOG_TEXT);
        _exit(lifecycle_run(parts, &told_to, timeout_ms));
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

static void parts_stop_in_reverse(void **state) {
    (void)state;
    const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct child child = run(three, 10000);
        hear(&child, "+a+b+z");
        kill(child.pid, signals[i]);
        hear(&child, "-b-a");
        assert_ends(&child, 0);
    }
}

static void a_failed_start_stops_what_started(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &failing, &b, NULL};
    struct child child = run(parts, 10000);
    hear(&child, "+a+f-a");
    assert_ends(&child, 1);
}

static void a_signal_during_the_start_is_heard(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &signalled, NULL};
    struct child child = run(parts, 10000);
    hear(&child, "+a+s-a");
    assert_ends(&child, 0);
}

/* Of several signals that wait, the one with the lowest number is taken first, and that is SIGHUP. */
static void reload_until(const struct child *child, const char *word) {
    char heard[5] = "";
    while (strcmp(heard, word) != 0) {
        kill(child->pid, SIGHUP);
        assert_int_equal(read(child->in, heard, 4), 4);
    }
}

static void hangup_reloads_the_parts(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &reloaded, &last, NULL};
    struct child child = run(parts, 10000);
    hear(&child, "+a+r+zsoft"); /* the signal came before the last part had started */
    kill(child.pid, SIGUSR1);
    reload_until(&child, "loud");
    kill(child.pid, SIGUSR2);
    reload_until(&child, "soft");
    kill(child.pid, SIGTERM);
    hear(&child, "-a");
    assert_ends(&child, 0);
}

static void only_stopping_counts_while_stopping(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &hanging, NULL};
    struct child child = run(parts, 3600000);
    hear(&child, "+a+b");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    kill(child.pid, SIGHUP);
    kill(child.pid, SIGUSR1);
    assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0);
    kill(child.pid, SIGTERM);
    assert_ends(&child, 1);
}

static void signals_about_nothing_of_ours_are_ignored(void **state) {
    (void)state;
    const int signals[] = {SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGIO,    SIGPWR,   SIGSTKFLT,
                           SIGXCPU, SIGXFSZ, SIGURG,    SIGCHLD, SIGWINCH, SIGRTMIN, SIGRTMAX};
    struct child child = run(three, 10000);
    hear(&child, "+a+b+z");
    for_each_row(i, signals, "%d", signals[i]) kill(child.pid, signals[i]);
    kill(child.pid, SIGTERM);
    hear(&child, "-b-a");
    assert_ends(&child, 0);
}

static void a_second_signal_ends_the_process_at_once(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &hanging, &last, NULL};
    struct child child = run(parts, 3600000);
    hear(&child, "+a+b+z");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    kill(child.pid, SIGINT);
    assert_ends(&child, 1);
}

static void a_stop_that_hangs_is_ended(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&a, &hanging, NULL};
    struct child child = run(parts, 100);
    hear(&child, "+a+b");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    assert_ends(&child, 1);
}

static void signals_are_taken_while_nobody_reads_the_log(void **state) {
    (void)state;
    const struct service_part *const hang[] = {&filling_log, &a, &hanging, NULL};
    const struct service_part *const stop[] = {&filling_log, &a, NULL};
    struct child child = run(hang, 3600000);
    hear(&child, "+l+a+b");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    kill(child.pid, SIGTERM);
    assert_ends(&child, 1);
    child = run(hang, 100); /* one signal, and the timeout */
    hear(&child, "+l+a+b");
    kill(child.pid, SIGTERM);
    hear(&child, "-h");
    assert_ends(&child, 1);
    child = run(stop, 10000);
    hear(&child, "+l+a");
    kill(child.pid, SIGTERM);
    hear(&child, "-a");
    assert_ends(&child, 0);
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
    struct child child = run(three, 10000);
    unsetenv("NOTIFY_SOCKET");
    assert_told(manager, "READY=1");
    hear(&child, "+a+b+z");
    kill(child.pid, SIGTERM);
    assert_told(manager, "STOPPING=1");
    hear(&child, "-b-a");
    assert_ends(&child, 0);
    close(manager);
}

static void the_manager_is_told(void **state) {
    (void)state;
    char folder[] = "/tmp/test_lifecycle.XXXXXX", name[64];
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/notify", folder);
    run_with_manager(name);
    unlink(name);
    rmdir(folder);
    name[0] = '@';
    run_with_manager(name);
}

static void a_manager_that_is_not_there_does_no_harm(void **state) {
    (void)state;
    static char long_name[200] = "/";
    memset(long_name + 1, 'x', sizeof long_name - 2);
    const char *const names[] = {"/nowhere/notify", long_name, ""};
    for_each_row(i, names, "'%s'", names[i]) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        struct child child = run(three, 10000);
        unsetenv("NOTIFY_SOCKET");
        hear(&child, "+a+b+z");
        kill(child.pid, SIGTERM);
        hear(&child, "-b-a");
        assert_ends(&child, 0);
    }
}

static void a_broken_pipe_does_not_kill(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&broken_pipe, NULL};
    struct child child = run(parts, 10000);
    hear(&child, "+p");
    kill(child.pid, SIGTERM);
    assert_ends(&child, 0);
}

static void names_are_looked_up_with_a_deadline(void **state) {
    (void)state;
    const struct service_part *const parts[] = {&looking_up, NULL};
    unsetenv("RES_OPTIONS");
    struct child child = run(parts, 10000);
    hear(&child, "timeout:1 attempts:2");
    assert_ends(&child, 1);
    setenv("RES_OPTIONS", "timeout:3", 1); /* the operator knows better */
    child = run(parts, 10000);
    hear(&child, "timeout:3");
    assert_ends(&child, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_stop_in_reverse),
        cmocka_unit_test(a_failed_start_stops_what_started),
        cmocka_unit_test(a_signal_during_the_start_is_heard),
        cmocka_unit_test(hangup_reloads_the_parts),
        cmocka_unit_test(only_stopping_counts_while_stopping),
        cmocka_unit_test(signals_about_nothing_of_ours_are_ignored),
        cmocka_unit_test(a_second_signal_ends_the_process_at_once),
        cmocka_unit_test(a_stop_that_hangs_is_ended),
        cmocka_unit_test(signals_are_taken_while_nobody_reads_the_log),
        cmocka_unit_test(the_manager_is_told),
        cmocka_unit_test(a_manager_that_is_not_there_does_no_harm),
        cmocka_unit_test(a_broken_pipe_does_not_kill),
        cmocka_unit_test(names_are_looked_up_with_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
