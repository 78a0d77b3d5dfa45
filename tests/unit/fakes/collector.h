/* A collector of traces that answers what the test tells it to, and counts the spans it gets. Include after cmocka.h. */
#pragma once

#include "fakes/loopback.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct collector {
    int fd;
    char url[64];
    pthread_t thread;
    atomic_int status;   /* of the next answers; 0: closes; -1: never answers */
    const char *headers; /* of the answers, each with its line break */
    const char *answer;  /* the body */
    size_t answer_len;
    atomic_uint requests;
    atomic_ulong bytes;
    char head[4096]; /* of the last request; read it when requests has grown */
};

/* Reads one request; false when the client has gone. */
static bool collector_read(struct collector *c, int fd) {
    static char text[1 << 20];
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n"), *size = strstr(text, "Content-Length: ");
        if (!end || !size || len < (size_t)(end + 4 - text) + strtoul(size + 16, NULL, 10))
            continue;
        *end = '\0';
        snprintf(c->head, sizeof c->head, "%.4000s\r\n", text);
        atomic_fetch_add(&c->bytes, strtoul(size + 16, NULL, 10));
        return true;
    }
}

static void *collector_serve(void *cls) {
    struct collector *c = cls;
    for (int fd; (fd = accept(c->fd, NULL, NULL)) >= 0; close(fd)) {
        while (collector_read(c, fd)) {
            int status = atomic_load(&c->status);
            atomic_fetch_add(&c->requests, 1);
            if (status == 0)
                break;
            if (status < 0)
                continue;
            char head[512];
            int len = snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n",
                               status, c->headers ? c->headers : "", c->answer_len);
            (void)!send(fd, head, (size_t)len, MSG_NOSIGNAL);
            (void)!send(fd, c->answer, c->answer_len, MSG_NOSIGNAL);
        }
    }
    return NULL;
}

static void collector_start(struct collector *c, int status) {
    int port;
    *c = (struct collector){.fd = loopback_socket(&port), .answer = ""};
    atomic_store(&c->status, status);
    assert_int_equal(listen(c->fd, 8), 0);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d", port);
    assert_int_equal(pthread_create(&c->thread, NULL, collector_serve, c), 0);
}

static void collector_stop(struct collector *c) {
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close(c->fd);
}
