/* Follows the feed with many streams at once, and tells when a change has reached all of them.
 *
 * follow PORT STREAMS ORDER FILE...    ORDER has the request of a new order, each FILE that of a stream: the streams take turns
 *                                      with them, because one client may not have them all.
 * Prints "open" when all streams have begun. For each line on its standard input it sends the order, waits until each stream
 * has one more event, and prints the microseconds from sending to the arrival at half of the streams, at 99 % and at all.
 * Ends when its standard input does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REQUEST = 65536, MAX_FILES = 4, PATIENCE_MS = 30000, AT_ONCE = 256 };

struct stream {
    int socket;
    size_t matched; /* of what is looked for */
};

struct follower {
    struct sockaddr_in address;
    int epoll;
    struct stream *streams;
    size_t count;
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what) {
    fprintf(stderr, "follow: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t read_file(const char *path, char out[static MAX_REQUEST]) {
    FILE *file = fopen(path, "r");
    if (!file)
        fail(path);
    size_t len = fread(out, 1, MAX_REQUEST, file);
    fclose(file);
    return len;
}

static int send_request(const struct follower *f, const char *request, size_t len) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&f->address, sizeof f->address) != 0 ||
        write(fd, request, len) != (ssize_t)len)
        fail("cannot connect");
    return fd;
}

/* How often the text ends in these bytes. The text has no repeated beginning, so one counter is enough. */
static size_t count_in(struct stream *s, const char *text, const char *bytes, size_t len) {
    size_t found = 0, size = strlen(text);
    for (size_t i = 0; i < len; i++) {
        s->matched = bytes[i] == text[s->matched] ? s->matched + 1 : bytes[i] == text[0];
        if (s->matched == size) {
            s->matched = 0;
            found++;
        }
    }
    return found;
}

/* Reads until n streams have had the text once more. times receives when. */
static void await_all(struct follower *f, const char *text, size_t n, int64_t times[]) {
    struct epoll_event events[AT_ONCE];
    char bytes[65536];
    size_t done = 0;
    while (done < n) {
        int ready = epoll_wait(f->epoll, events, AT_ONCE, PATIENCE_MS);
        if (ready <= 0)
            fail("a stream is silent");
        for (int i = 0; i < ready; i++) {
            struct stream *s = events[i].data.ptr;
            ssize_t got = read(s->socket, bytes, sizeof bytes);
            if (got <= 0)
                fail("a stream ended");
            if (count_in(s, text, bytes, (size_t)got))
                times[done++] = now_us();
        }
    }
}

struct request {
    char text[MAX_REQUEST];
    size_t len;
};

/* Some at a time, as clients come that were told to wait for different times. */
static void open_streams(struct follower *f, const struct request requests[], size_t n, int64_t times[]) {
    for (size_t i = 0, group = 0; i < f->count; i++) {
        struct stream *s = &f->streams[i];
        s->socket = send_request(f, requests[i % n].text, requests[i % n].len);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
        if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, s->socket, &event) != 0)
            fail("epoll");
        if (++group == AT_ONCE || i + 1 == f->count) {
            await_all(f, "retry: ", group, times);
            group = 0;
        }
    }
}

int main(int argc, char *argv[]) {
    static struct request order, streams[MAX_FILES];
    char line[16];
    if (argc < 5 || argc > 4 + MAX_FILES)
        return 2;
    size_t n = (size_t)argc - 4;
    struct follower f = {.address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))},
                         .epoll = epoll_create1(0),
                         .count = (size_t)atoi(argv[2])};
    f.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f.streams = calloc(f.count, sizeof *f.streams);
    int64_t *times = calloc(f.count, sizeof *times);
    order.len = read_file(argv[3], order.text);
    for (size_t i = 0; i < n; i++)
        streams[i].len = read_file(argv[4 + i], streams[i].text);
    if (!f.streams || !times || f.epoll < 0 || f.count == 0)
        fail("cannot start");
    open_streams(&f, streams, n, times);
    printf("open\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        int64_t began = now_us();
        int fd = send_request(&f, order.text, order.len);
        await_all(&f, "data: ", f.count, times);
        printf("%lld %lld %lld\n", (long long)(times[f.count / 2] - began),
               (long long)(times[f.count * 99 / 100] - began), (long long)(times[f.count - 1] - began));
        fflush(stdout);
        close(fd);
    }
    return 0;
}
