/* Answers to clients that have closed their sending side. */
#include "half_closed.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 1 << 20 }; /* for an answer in a socket; the system may allow less */

static bool is_half_closed(int socket) {
    struct pollfd fd = {.fd = socket, .events = POLLRDHUP};
    return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) == POLLRDHUP;
}

static void allow_long_answer(int socket) {
    int room = ROOM;
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

void http_half_closed_begin(struct http_half_closed *half, int socket) {
    int pair[2];
    if (!is_half_closed(socket) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return;
    int client = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    allow_long_answer(pair[0]);
    half->active = client >= 0 && dup3(pair[0], socket, O_CLOEXEC) >= 0;
    half->client = client;
    half->answer = pair[1];
    close(pair[0]);
    if (half->active)
        return;
    close(pair[1]);
    if (client >= 0)
        close(client);
}

int http_half_closed_end(struct http_half_closed *half) {
    char bytes[16384];
    ssize_t got, sent = 0;
    allow_long_answer(half->client);
    while (sent >= 0 && (got = recv(half->answer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        for (ssize_t at = 0; at < got && sent >= 0; at += sent)
            sent = send(half->client, bytes + at, (size_t)(got - at), MSG_DONTWAIT | MSG_NOSIGNAL);
    close(half->answer);
    half->active = false;
    return half->client;
}
