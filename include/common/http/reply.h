/* Answering a request: JSON, problem documents (RFC 9457), headers, and the faults of what came in.
 *
 * One thread has the request at any time: the HTTP thread in prepare, the worker in run. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"

#include <jansson.h>
#include <stddef.h>

#define HTTP_MAX_HEADERS 6

struct http_request;

struct http_header {
    const char *name;
    const char *value;
};

/* What is sent back. Made through the http_reply functions; at most one thread has the request at any time.
 */
struct http_reply {
    unsigned status; /* 0: not answered yet */
    const char *content_type;
    struct buf body;
    struct http_header headers[HTTP_MAX_HEADERS]; /* values live in the request's arena or are static */
    size_t header_count;
};

/* Answers with a body of type application/json; takes the bytes of body. */
void http_reply_json(struct http_request *request, unsigned status, struct buf *body);

/* The same with another media type; content_type is static. */
void http_reply_as(struct http_request *request, unsigned status, const char *content_type, struct buf *body);

/* Answers with no body (304, 204). */
void http_reply_empty(struct http_request *request, unsigned status);

/* Answers with a problem document (RFC 9457) that carries the seed's members error and message. code is one
 * of API.md's, e.g. "ORDER_NOT_FOUND"; the status follows from it. */
void http_reply_problem(struct http_request *request, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same with an extension member: an array of elements (JSON values, separated by commas). */
void http_reply_problem_with(struct http_request *request, const char *code, const char *array,
                             const struct buf *elements, const char *format, ...) PRINTF_LIKE(5, 6);

/* The faults of a body or query, collected to be answered at once. Zero-initialise; free with
 * http_faults_free. */
struct http_faults {
    struct buf json;  /* the elements of the errors array */
    struct buf first; /* the first fault in words */
    unsigned count;
};
/* Adds a fault at the JSON pointer (RFC 6901) of member within parent; member NULL: of parent itself. parent
 * is a pointer already, e.g. "" or "/items/0"; for a query argument it is its name. */
void http_fault(struct http_faults *faults, const char *parent, const char *member, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Adds a fault for each member of object that is not in known (NULL-terminated). */
void http_fault_unknown(struct http_faults *faults, json_t *object, const char *parent,
                        const char *const known[]);
/* 400 VALIDATION_ERROR with all faults. */
void http_reply_faults(struct http_request *request, struct http_faults *faults);
void http_faults_free(struct http_faults *faults);

/* Adds a header to the reply; value is copied. Out of memory the reply becomes 503: none is sent in part. */
void http_reply_header(struct http_request *request, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
