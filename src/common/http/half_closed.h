/* Clients that close their sending side after the request, and wait for the answer (shutdown with SHUT_WR).
 *
 * When libmicrohttpd resumes a connection, it reads first. It takes the end of what the client sends for the end of the
 * client, and closes without the answer. So before that the connection gets another socket, one end of a pair, from which
 * nothing can be read. libmicrohttpd writes the answer into it, and we pass the answer on to the client. */
#pragma once

#include <stdbool.h>

#define HTTP_HALF_CLOSED_MAX 64 /* at the same time; each has two more file descriptors */

struct http_half_closed {
    bool active;
    int client; /* the client's socket */
    int answer; /* where the answer arrives */
};

/* Puts another socket in the place of a suspended connection's socket, if its client has closed its sending side. */
void http_half_closed_begin(struct http_half_closed *half, int socket);

/* The answer is written: passes it on, as much of it as the system has room for, some hundred KiB. Returns the client's
 * socket, which the caller closes. */
int http_half_closed_end(struct http_half_closed *half);
