/* Sockets that are read for a while after the answer. If a socket is closed while the client still sends, the client's
 * system discards the answer (RFC 9112 §9.6). */
#include "private.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LONGEST_MS = 10000,
    LAST_MS = 300, /* when the server stops */
    LONGEST_BYTES = HTTP_DISCARD_LIMIT,
};

struct lingering_socket {
    int fd;
    size_t left; /* bytes that may still come */
    int64_t deadline_ms;
};

struct http_lingering {
    pthread_mutex_t lock; /* guards what follows; only the thread removes sockets */
    struct lingering_socket sockets[HTTP_LINGERING_MAX];
    size_t count;
    bool stopping;
    int wake; /* eventfd */
    pthread_t thread;
    bool started;
};

/* Reads what has come. False when that was all, or enough. */
static bool read_on(struct lingering_socket *s, int64_t now_ms) {
    char bytes[16384];
    ssize_t got = 0;
    while (s->left > 0 && (got = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        s->left -= (size_t)got < s->left ? (size_t)got : s->left;
    bool open = got < 0 && (errno == EAGAIN || errno == EINTR);
    return open && s->left > 0 && now_ms < s->deadline_ms;
}

/* Returns the time until the next deadline; -1 when there is none. */
static int linger_read(struct http_lingering *all) {
    int64_t now = clock_mono_ms(), next = -1;
    for (size_t i = 0; i < all->count;) {
        struct lingering_socket *s = &all->sockets[i];
        if (!read_on(s, now)) {
            close(s->fd);
            *s = all->sockets[--all->count];
            continue;
        }
        if (next < 0 || s->deadline_ms - now < next)
            next = s->deadline_ms - now;
        i++;
    }
    return (int)next;
}

static void *linger_run(void *arg) {
    pthread_setname_np(pthread_self(), "linger");
    struct http_lingering *all = arg;
    struct pollfd polled[HTTP_LINGERING_MAX + 1];
    for (;;) {
        uint64_t ignored;
        (void)!read(all->wake, &ignored, sizeof ignored);
        pthread_mutex_lock(&all->lock);
        int wait_ms = linger_read(all);
        size_t count = all->count;
        bool done = all->stopping && count == 0;
        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = all->sockets[i].fd, .events = POLLIN};
        pthread_mutex_unlock(&all->lock);
        if (done)
            return NULL;
        polled[count] = (struct pollfd){.fd = all->wake, .events = POLLIN};
        (void)poll(polled, count + 1, wait_ms);
    }
}

static void linger_wake(struct http_lingering *all) {
    (void)!write(all->wake, &(uint64_t){1}, sizeof(uint64_t));
}

struct http_lingering *http_linger_start(void) {
    struct http_lingering *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    pthread_mutex_init(&all->lock, NULL);
    all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    all->started = all->wake >= 0 && pthread_create(&all->thread, NULL, linger_run, all) == 0;
    if (all->started)
        return all;
    http_linger_stop(all);
    return NULL;
}

void http_linger_stop(struct http_lingering *all) {
    if (!all)
        return;
    if (all->started) {
        int64_t last = clock_mono_ms() + LAST_MS;
        pthread_mutex_lock(&all->lock);
        all->stopping = true;
        for (size_t i = 0; i < all->count; i++)
            if (all->sockets[i].deadline_ms > last)
                all->sockets[i].deadline_ms = last;
        pthread_mutex_unlock(&all->lock);
        linger_wake(all);
        pthread_join(all->thread, NULL);
    }
    if (all->wake >= 0)
        close(all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

bool http_linger_is_needed(int socket, bool whole) {
    int unread = 0;
    char byte;
    if (whole && (ioctl(socket, FIONREAD, &unread) != 0 || unread == 0))
        return false;
    ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && errno == EAGAIN); /* otherwise the client is gone */
}

void http_linger(struct http_lingering *all, int socket) {
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)shutdown(fd, SHUT_WR);
    pthread_mutex_lock(&all->lock);
    bool room = all->count < HTTP_LINGERING_MAX && !all->stopping;
    if (room)
        all->sockets[all->count++] =
            (struct lingering_socket){fd, LONGEST_BYTES, clock_mono_ms() + LONGEST_MS};
    pthread_mutex_unlock(&all->lock);
    if (room)
        linger_wake(all);
    else
        close(fd);
}
