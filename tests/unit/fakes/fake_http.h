/* A request by hand, without a server: its headers and query arguments are the test's. Include in one file of a test. */
#pragma once

#include "common/http/server.h"

#include <string.h>
#include <strings.h>

#define FAKE_HEADERS 8
#define FAKE_ARGUMENTS 9

/* The headers and query arguments that requests of this test carry; each ends with a NULL name. */
static struct http_header fake_headers[FAKE_HEADERS];
static struct http_header fake_arguments[FAKE_ARGUMENTS];

unsigned http_header_count(struct http_request *request, const char *name) {
    (void)request;
    unsigned count = 0;
    for (const struct http_header *header = fake_headers; header->name; header++)
        count += strcasecmp(header->name, name) == 0;
    return count;
}

const char *http_header(struct http_request *request, const char *name) {
    (void)request;
    for (const struct http_header *header = fake_headers; header->name; header++)
        if (strcasecmp(header->name, name) == 0)
            return header->value;
    return NULL;
}

const char *http_query(struct http_request *request, const char *name) {
    (void)request;
    for (const struct http_header *argument = fake_arguments; argument->name; argument++)
        if (strcmp(argument->name, name) == 0)
            return argument->value;
    return NULL;
}

/* All arguments are known here, and there once. */
const char *http_query_fault(struct http_request *request, const char *const known[]) {
    (void)request, (void)known;
    return NULL;
}

/* All bodies are announced as JSON here. */
bool http_expect_json(struct http_request *request) {
    (void)request;
    return true;
}

static size_t batches_let; /* the next one was let begin */

void http_let_next(struct http_request *request) {
    (void)request;
    batches_let++;
}

static inline void fake_request_header(const char *name, const char *value) {
    size_t i = 0;
    while (fake_headers[i].name)
        i++;
    if (i + 1 < FAKE_HEADERS)
        fake_headers[i] = (struct http_header){name, value};
}

static inline const char *fake_reply_header(const struct http_request *request, const char *name) {
    for (size_t i = 0; i < request->reply.header_count; i++)
        if (strcasecmp(request->reply.headers[i].name, name) == 0)
            return request->reply.headers[i].value;
    return NULL;
}

static inline void fake_end(struct http_request *request) {
    memset(fake_headers, 0, sizeof fake_headers);
    memset(fake_arguments, 0, sizeof fake_arguments);
    buf_free(&request->body);
    buf_free(&request->reply.body);
    arena_free(&request->arena);
    *request = (struct http_request){0};
}
