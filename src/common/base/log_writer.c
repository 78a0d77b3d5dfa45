/* Writing log lines without making their authors wait. */
#include "log_writer.h"

#include "common/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 * 1024 };

/* One for the process, as there is one standard error. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, drained;
    void (*report)(unsigned long long dropped);
    char *waiting, *writing; /* buffers that are swapped; NULL: no writer runs */
    size_t len;              /* of waiting */
    bool busy;               /* something is being written */
    bool stopping;
    unsigned long long dropped; /* not reported yet */
    unsigned long long dropped_ever;
    pthread_t thread;
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

void log_writer_direct(const char *data, size_t len) {
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN) { /* whoever reads it made it non-blocking for us, too */
            (void)poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (written <= 0)
            return;
        data += written;
        len -= (size_t)written;
    }
}

/* Each line is one write(2), so that lines of two processes do not mix. */
static void write_lines(const char *data, size_t len) {
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t line = end ? (size_t)(end - data) + 1 : len;
        log_writer_direct(data, line);
        data += line;
        len -= line;
    }
}

static bool has_work(void) {
    return writer.len > 0 || writer.dropped > 0;
}

static void *log_writer_run(void *arg) {
    pthread_setname_np(pthread_self(), "log-writer");
    (void)arg;
    pthread_mutex_lock(&writer.lock);
    while (has_work() || !writer.stopping) {
        if (!has_work()) {
            pthread_cond_wait(&writer.filled, &writer.lock);
            continue;
        }
        char *data = writer.waiting;
        size_t len = writer.len;
        unsigned long long dropped = writer.dropped;
        writer.waiting = writer.writing;
        writer.writing = data;
        writer.len = writer.dropped = 0;
        writer.busy = true;
        pthread_mutex_unlock(&writer.lock);
        write_lines(data, len);
        if (dropped)
            writer.report(dropped);
        pthread_mutex_lock(&writer.lock);
        writer.busy = false;
        pthread_cond_broadcast(&writer.drained);
    }
    pthread_mutex_unlock(&writer.lock);
    return NULL;
}

bool log_writer_start(void (*report)(unsigned long long dropped)) {
    char *waiting = malloc(BUFFER_SIZE), *writing = malloc(BUFFER_SIZE);
    pthread_mutex_lock(&writer.lock);
    clock_cond_init(&writer.drained);
    writer.report = report;
    writer.stopping = false;
    writer.writing = writing;
    writer.waiting = waiting;
    bool started = waiting && writing && pthread_create(&writer.thread, NULL, log_writer_run, NULL) == 0;
    if (!started) {
        writer.waiting = writer.writing = NULL;
        pthread_cond_destroy(&writer.drained);
    }
    pthread_mutex_unlock(&writer.lock);
    if (started)
        return true;
    free(waiting);
    free(writing);
    return false;
}

bool log_writer_put(const char *line, size_t len) {
    pthread_mutex_lock(&writer.lock);
    bool runs = writer.waiting;
    if (runs && !writer.stopping && len <= BUFFER_SIZE - writer.len) {
        memcpy(writer.waiting + writer.len, line, len);
        writer.len += len;
        pthread_cond_signal(&writer.filled);
    } else if (runs) {
        writer.dropped++;
        writer.dropped_ever++;
    }
    pthread_mutex_unlock(&writer.lock);
    return runs;
}

unsigned long long log_writer_dropped(void) {
    pthread_mutex_lock(&writer.lock);
    unsigned long long dropped = writer.dropped_ever;
    pthread_mutex_unlock(&writer.lock);
    return dropped;
}

void log_writer_stop(int64_t wait_ms) {
    struct timespec until;
    clock_mono_after(wait_ms, &until);
    pthread_mutex_lock(&writer.lock);
    if (!writer.waiting || writer.stopping) {
        pthread_mutex_unlock(&writer.lock);
        return;
    }
    writer.stopping = true;
    pthread_cond_signal(&writer.filled);
    int waited = 0;
    while (waited == 0 && (has_work() || writer.busy))
        waited = pthread_cond_timedwait(&writer.drained, &writer.lock, &until);
    bool idle = !has_work() && !writer.busy;
    pthread_mutex_unlock(&writer.lock);
    if (!idle) { /* it hangs, and goes with the process */
        pthread_detach(writer.thread);
        return;
    }
    pthread_join(writer.thread, NULL);
    pthread_mutex_lock(&writer.lock);
    free(writer.waiting);
    free(writer.writing);
    writer.waiting = writer.writing = NULL;
    pthread_cond_destroy(&writer.drained);
    pthread_mutex_unlock(&writer.lock);
}
