/* A request as its handlers see it: what came with it, what it leaves for the worker, and its reply.
 *
 * One thread owns the request at any time: an HTTP thread until the prepare of its route has returned, then a
 * worker. Everything that belongs to a request is freed with it. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/trace.h"
#include "common/http/address.h"
#include "common/http/limit.h"
#include "common/http/reply.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_MAX_PARAMS 2
#define HTTP_MAX_LIMITS 4
#define HTTP_REQUEST_ID_SIZE 129

struct http_route;

/* A use of a limit that was taken for what a request wants to make; see http_reserve. */
struct http_reservation {
    struct limit *limit; /* NULL: none */
    const void *key;
    size_t len;
    struct limit_state state; /* refused: none was left */
    bool spent;
};

struct http_request {
    void *app; /* of http_options */
    const struct http_route *route;
    struct arena arena;                    /* memory that lives as long as the request */
    char request_id[HTTP_REQUEST_ID_SIZE]; /* the caller's X-Request-Id, or ours */
    char traceparent[TRACEPARENT_SIZE];    /* of the request's span: in the caller's trace, or a new one */
    const char *trace;                     /* the same with its tracestate, see http_trace */
    const char *params[HTTP_MAX_PARAMS];   /* path parameters in their order */
    struct buf body;                       /* for prepare; freed before run */
    struct address address;                /* the client's, where the route has a scope or a body */
    struct token_claims claims;            /* of the verified token, where the route has a scope */
    struct limit_state limits[HTTP_MAX_LIMITS]; /* reported to the client with the reply; see http_within */
    size_t limit_count;
    struct http_reservation reserved;
    void *command; /* from prepare to run */
    struct http_reply reply;
};

/* The trace for what follows from the request: its traceparent and tracestate. Lives as long as the request. */
static inline const char *http_trace(const struct http_request *request) {
    return request->trace ? request->trace : request->traceparent;
}

/* What came with the request. On an HTTP thread only. Borrowed; NULL when missing. A header or argument that was
 * sent twice is returned once; http_header_count counts it. */
const char *http_header(struct http_request *request, const char *name);
unsigned http_header_count(struct http_request *request, const char *name);
const char *http_query(struct http_request *request, const char *name);

/* The first query argument that is not in known (NULL-terminated), was sent twice, or has no "=". NULL if there is
 * none. */
const char *http_query_fault(struct http_request *request, const char *const known[]);

/* Whether a limit allows the request. If not, answers 429. Either way the reply says how much is left
 * (draft-ietf-httpapi-ratelimit-headers). */
bool http_within(struct http_request *request, struct limit_state state) MUST_CHECK;

/* Takes one use of a limit. It counts only if http_spend is called: otherwise it is given back when the request is
 * answered. So of requests at the same time no more can be spent than the limit allows. False when none is left: then
 * http_refuse_reserved answers 429, or the request is answered with what needs none. Either way the reply says how much is
 * left. The key must live as long as the request. Once for a request. */
bool http_reserve(struct http_request *request, struct limit *limit, const void *key, size_t len) MUST_CHECK;
void http_spend(struct http_request *request);
void http_refuse_reserved(struct http_request *request);

/* Whether the body is announced as application/json. If not, answers 415. */
bool http_expect_json(struct http_request *request);

/* For run: the database has answered for the whole batch, so the next one of the route may begin while this one is
 * answered. With any request of the batch that has no answer yet. */
void http_let_next(struct http_request *request);
