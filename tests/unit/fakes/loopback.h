/* A socket of this machine alone, for a server that a test plays. Include after cmocka.h. */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

/* Bound to a free port, which *port receives; does not listen yet. */
static inline int loopback_socket(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}
