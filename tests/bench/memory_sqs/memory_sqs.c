/* A queue server that costs nearly nothing, for measuring what the daemons themselves sustain (scripts/bench.sh): FIFO
 * queues in memory, on one thread. What it holds is gone when it ends. No test uses it: those use ElasticMQ.
 *
 * memory_sqs      prints the port it listens on; ends when its standard input does. GET is answered 200. */
#include "actions.h"

#include "common/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_HEAD = 16384, MAX_BODY = 4 << 20, READ_SIZE = 65536, EVENTS = 64, TICK_MS = 10, MAX_FILES = 1024 };

struct client {
    int fd;
    struct buf in, out; /* out: what the socket did not take yet */
    struct wait wait;
    struct client *before, *after; /* among those that wait */
};

struct server {
    int poller, listener;
    char base[64];
    struct store *store;
    struct client *first_waiting, *last_waiting;
    int64_t ticked_ms;
    bool ended;
};

static void wait_begin(struct server *s, struct client *c, const struct wait *wait) {
    c->wait = *wait;
    c->before = s->last_waiting;
    c->after = NULL;
    *(s->last_waiting ? &s->last_waiting->after : &s->first_waiting) = c;
    s->last_waiting = c;
}

static void wait_end(struct server *s, struct client *c) {
    if (!c->wait.queue)
        return;
    *(c->before ? &c->before->after : &s->first_waiting) = c->after;
    *(c->after ? &c->after->before : &s->last_waiting) = c->before;
    c->wait.queue = NULL;
}

static void hang_up(struct server *s, struct client *c) {
    wait_end(s, c);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

static void watch(const struct server *s, struct client *c) {
    struct epoll_event event = {.events = c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    (void)epoll_ctl(s->poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void drop_front(struct buf *b, size_t len) {
    memmove(b->data, b->data + len, b->len - len + 1); /* with the NUL */
    b->len -= len;
}

/* False when the client is gone. */
static bool flush(const struct server *s, struct client *c) {
    bool waited = c->out.len > 0;
    ssize_t sent = c->out.failed ? -1 : send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (c->out.failed || errno != EAGAIN))
        return false;
    if (sent > 0)
        drop_front(&c->out, (size_t)sent);
    if (waited)
        watch(s, c);
    return true;
}

static bool answer(const struct server *s, struct client *c, int status, const struct buf *body) {
    buf_printf(&c->out,
               "HTTP/1.1 %d X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %zu\r\n\r\n",
               status, body->len);
    buf_append(&c->out, body->data ? body->data : "", body->len);
    c->out.failed |= body->failed;
    return flush(s, c);
}

/* Copies the value of a header; "" when there is none. */
static void header(const char *head, const char *name, char *out, size_t size) {
    const char *line = strcasestr(head, name), *value = line ? line + strlen(name) : "";
    snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
}

/* Handles the first request, if it has come as a whole. False when the client must go. */
static bool handle_one(struct server *s, struct client *c, bool *done) {
    char length[16], target[64];
    char *end = c->in.len ? strstr(c->in.data, "\r\n\r\n") : NULL;
    *done = false;
    if (!end)
        return c->in.len < MAX_HEAD;
    *end = '\0';
    header(c->in.data, "\r\nContent-Length: ", length, sizeof length);
    header(c->in.data, "\r\nX-Amz-Target: AmazonSQS.", target, sizeof target);
    bool get = strncmp(c->in.data, "GET ", 4) == 0;
    *end = '\r';
    size_t head = (size_t)(end - c->in.data) + 4, body = strtoul(length, NULL, 10);
    if (body > MAX_BODY)
        return false;
    if (c->in.len < head + body)
        return true;
    struct buf out = {0};
    struct wait wait = {0};
    int status =
        get ? 200
            : action_run(s->store, target, s->base, c->in.data + head, body, clock_epoch_ms(), &out, &wait);
    drop_front(&c->in, head + body);
    *done = true;
    bool good = wait.queue || answer(s, c, status, &out);
    if (wait.queue)
        wait_begin(s, c, &wait);
    buf_free(&out);
    return good;
}

/* A client that waits sends nothing. What it sends anyway stays until it was answered. */
static bool handle_all(struct server *s, struct client *c) {
    bool good = !c->in.failed && c->in.len <= MAX_HEAD + MAX_BODY, done = true;
    while (good && done && !c->wait.queue)
        good = handle_one(s, c, &done);
    return good;
}

/* Answers those who wait, when there is something for them, or their time is over. */
static void serve_waiting(struct server *s) {
    int64_t now_ms = clock_epoch_ms();
    for (struct client *c = s->first_waiting, *after; c; c = after) {
        after = c->after;
        if (!c->wait.queue->first_ready && c->wait.until_ms > now_ms)
            continue;
        struct buf out = {0};
        if (action_retry(s->store, &c->wait, now_ms, &out) || c->wait.until_ms <= now_ms) {
            wait_end(s, c);
            if (!answer(s, c, 200, &out) || !handle_all(s, c))
                hang_up(s, c);
        }
        buf_free(&out);
    }
}

static bool take_in(struct server *s, struct client *c) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        return false;
    if (got > 0)
        buf_append(&c->in, bytes, (size_t)got);
    return handle_all(s, c);
}

static void take_client(const struct server *s) {
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *c = fd >= 0 && fd < MAX_FILES ? calloc(1, sizeof *c) : NULL;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c) {
        c->fd = fd;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        (void)epoll_ctl(s->poller, EPOLL_CTL_ADD, fd, &event);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void tick(struct server *s) {
    int64_t now_ms = clock_mono_ms();
    if (now_ms - s->ticked_ms < TICK_MS)
        return;
    s->ticked_ms = now_ms;
    store_tick(s->store, clock_epoch_ms());
}

static void run(struct server *s) {
    struct epoll_event events[EVENTS];
    while (!s->ended) {
        int n = epoll_wait(s->poller, events, EVENTS, TICK_MS);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (events[i].data.ptr == s)
                take_client(s);
            else if (!c)
                s->ended = getchar() == EOF;
            else if ((events[i].events & EPOLLOUT && !flush(s, c)) ||
                     (events[i].events & ~(unsigned)EPOLLOUT && !take_in(s, c)))
                hang_up(s, c);
        }
        tick(s);
        serve_waiting(s);
    }
}

static bool start(struct server *s) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    s->store = store_open();
    s->poller = epoll_create1(EPOLL_CLOEXEC);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event clients = {.events = EPOLLIN, .data.ptr = s}, input = {.events = EPOLLIN};
    bool good = s->store && s->poller >= 0 && s->listener >= 0 &&
                bind(s->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(s->listener, MAX_FILES) == 0 &&
                getsockname(s->listener, (struct sockaddr *)&address, &len) == 0 &&
                epoll_ctl(s->poller, EPOLL_CTL_ADD, s->listener, &clients) == 0 &&
                epoll_ctl(s->poller, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0;
    if (good)
        snprintf(s->base, sizeof s->base, "http://127.0.0.1:%u", ntohs(address.sin_port));
    if (good)
        printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return good;
}

int main(void) {
    struct server server = {.ended = false};
    if (!start(&server)) {
        perror("memory_sqs");
        return 1;
    }
    run(&server);
    store_close(server.store); /* the clients go with the process */
    return 0;
}
