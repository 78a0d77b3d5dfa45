/* The life of a daemon: start in order, wait for a signal, stop in reverse. */
#include "lifecycle.h"

#include "part.h"
#include "signals.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MAX_PARTS = 64,
    HOUR_MS = 3600000,
    LAST_LINES_MS = 500, /* for the last lines of the log, where nobody may read them */
};

struct life {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stop, reload; /* a signal came */
    int64_t timeout_ms;
};

static void tell_life(struct life *life, bool *what) {
    pthread_mutex_lock(&life->mutex);
    *what = true;
    pthread_cond_signal(&life->changed);
    pthread_mutex_unlock(&life->mutex);
}

/* Waits for one more signal; false when none came within limit_ms. */
static bool await_signal(const sigset_t *signals, int64_t limit_ms) {
    int64_t deadline = clock_mono_ms() + limit_ms;
    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        if (left < 0)
            return false;
        struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        if (sigtimedwait(signals, NULL, &limit) > 0)
            return true;
    }
}

/* Takes signals until one of them asks the process to stop, and returns it. */
static int await_stop(struct life *life) {
    sigset_t signals = signals_to_take();
    for (;;) {
        int number = 0;
        sigwait(&signals, &number);
        if (number == SIGTERM || number == SIGINT)
            return number;
        if (number == SIGHUP) {
            tell_life(life, &life->reload);
            continue;
        }
        log_set_verbose(number == SIGUSR1);
        log_info(NULL, number == SIGUSR1 ? "SIGUSR1 received: debug lines are logged, until SIGUSR2"
                                         : "SIGUSR2 received: LOG_LEVEL applies");
    }
}

/* Takes the signals on a thread of its own, so that they are handled also while a part starts or stops. The thread
 * is cancelled when all parts have stopped. Stopping may exceed the timeout by a quarter, for the calls that are in
 * progress at its end. */
static void *take_signals(void *arg) {
    pthread_setname_np(pthread_self(), "signals");
    struct life *life = arg;
    sigset_t signals = signals_to_stop();
    int number = await_stop(life);
    log_info(NULL, "%s received: stopping", number == SIGINT ? "SIGINT" : "SIGTERM");
    tell_life(life, &life->stop);

    if (await_signal(&signals, life->timeout_ms + life->timeout_ms / 4))
        log_error(NULL, "second signal received: exiting immediately");
    else
        log_error(NULL, "did not stop in time: exiting immediately");
    log_stop(LAST_LINES_MS);
    _exit(1);
}

/* Tells the service manager, if it wants to know (sd_notify(3)). It listens on a datagram socket. The name of the
 * socket is a path or, after '@', an abstract name. */
static void tell_manager(const char *state) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = name ? strlen(name) : 0;
    if (len == 0 || len > sizeof address.sun_path)
        return;
    memcpy(address.sun_path, name, len);
    if (*name == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (sendto(fd, state, strlen(state), 0, (struct sockaddr *)&address, size) < 0)
        log_warn(NULL, "cannot notify the service manager of %s: %s", state, strerror(errno));
    close(fd);
}

static bool stop_asked(struct life *life) {
    pthread_mutex_lock(&life->mutex);
    bool stop = life->stop;
    pthread_mutex_unlock(&life->mutex);
    return stop;
}

/* How often the manager wants to hear that we are alive; 0: never. Half of its limit, as sd_watchdog_enabled(3) says. */
static int64_t watchdog_ms(void) {
    const char *limit_us = getenv("WATCHDOG_USEC");
    return limit_us ? strtoll(limit_us, NULL, 10) / 2000 : 0;
}

struct running {
    const struct service_part *part;
    void *self;
};

static void lifecycle_reload(const struct running running[], size_t count, void *app) {
    log_info(NULL, "SIGHUP received: reading again what may change");
    for (size_t i = 0; i < count; i++)
        if (running[i].part->reload)
            running[i].part->reload(app);
}

static void wait_for_stop(struct life *life, const struct running running[], size_t count, void *app) {
    int64_t period_ms = watchdog_ms();
    pthread_mutex_lock(&life->mutex);
    while (!life->stop) {
        if (life->reload) {
            life->reload = false;
            pthread_mutex_unlock(&life->mutex);
            lifecycle_reload(running, count, app);
            pthread_mutex_lock(&life->mutex);
        }
        if (period_ms > 0)
            tell_manager("WATCHDOG=1");
        struct timespec next;
        clock_mono_after(period_ms > 0 ? period_ms : HOUR_MS, &next);
        if (!life->reload && !life->stop)
            (void)pthread_cond_timedwait(&life->changed, &life->mutex, &next);
    }
    pthread_mutex_unlock(&life->mutex);
}

static bool lifecycle_start(struct running *running, const struct service_part *part, void *app) {
    void *self = part_start(part, app);
    if (!self) {
        log_error(NULL, "cannot start %s", part->name);
        return false;
    }
    *running = (struct running){part, self};
    if (part->place)
        memcpy((char *)app + part->place, &self, sizeof self);
    log_debug(NULL, "%s started", part->name);
    return true;
}

static void lifecycle_stop(const struct running *running, int64_t deadline_ms) {
    part_stop(running->part, running->self, deadline_ms);
    log_debug(NULL, "%s stopped", running->part->name);
}

/* Starts the parts, waits for the stop, and stops them. *good is false when a part did not start. */
static void live(const struct service_part *const parts[], void *app, struct life *life, bool *good) {
    struct running running[MAX_PARTS];
    size_t count = 0;
    *good = true;
    while (*good && parts[count] && count < MAX_PARTS && !stop_asked(life)) {
        *good = lifecycle_start(&running[count], parts[count], app);
        count += *good;
    }
    if (*good && !parts[count]) {
        log_info(NULL, "started, version %s", SERVICE_VERSION);
        tell_manager("READY=1");
    }
    if (*good)
        wait_for_stop(life, running, count, app);
    tell_manager("STOPPING=1");
    int64_t deadline_ms = clock_mono_ms() + life->timeout_ms;
    if (count > 0)
        lifecycle_stop(&running[--count], deadline_ms); /* the server: jobs go on while it answers */
    for (size_t i = 0; i < count; i++)
        part_end(running[i].part, running[i].self);
    while (count-- > 0)
        lifecycle_stop(&running[count], deadline_ms);
}

int lifecycle_run(const struct service_part *const parts[], void *app, int64_t timeout_ms) {
    struct life life = {.mutex = PTHREAD_MUTEX_INITIALIZER, .timeout_ms = timeout_ms};
    clock_cond_init(&life.changed);
    signals_prepare();
    /* libpq and hiredis resolve names without a deadline of their own. The resolver waits 10 s for each of its
     * servers. With this setting it waits 2 s. */
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);
    if (!log_start()) {
        log_error(NULL, "cannot create the thread that writes the log");
        return 1;
    }
    pthread_t listener;
    int error = pthread_create(&listener, NULL, take_signals, &life);
    if (error) {
        log_error(NULL, "cannot create the signal thread: %s", strerror(error));
        log_stop(LAST_LINES_MS);
        return 1;
    }
    bool good;
    live(parts, app, &life, &good);
    pthread_cancel(listener);
    pthread_join(listener, NULL);
    log_info(NULL, "stopped");
    log_stop(LAST_LINES_MS);
    return good ? 0 : 1;
}
