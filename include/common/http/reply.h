/* Answering a request: JSON, problem documents (RFC 9457), headers, and the faults of a body or query.
 *
 * None of these functions returns an error. The arena of the request remembers that memory ran out. The server then
 * answers 503 instead of an incomplete reply. */
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

/* What is sent back. Only the http_reply functions write it. */
struct http_reply {
    unsigned status; /* 0: not answered yet */
    const char *content_type;
    struct buf body;
    struct http_header headers[HTTP_MAX_HEADERS]; /* values live in the request's arena or are static */
    size_t header_count;
};

/* Answers with a body of type application/json. Takes over the memory of body. */
void http_reply_json(struct http_request *request, unsigned status, struct buf *body);

/* The same with another media type; content_type is static. */
void http_reply_as(struct http_request *request, unsigned status, const char *content_type, struct buf *body);

/* Answers with no body (304, 204). */
void http_reply_empty(struct http_request *request, unsigned status);

/* The error codes of the API, which clients may rely on. The code determines the status. */
enum http_problem {
    PROBLEM_VALIDATION_ERROR,
    PROBLEM_UNAUTHORIZED,
    PROBLEM_INVALID_TOKEN,
    PROBLEM_TOKEN_EXPIRED,
    PROBLEM_FORBIDDEN,
    PROBLEM_NOT_FOUND,
    PROBLEM_ORDER_NOT_FOUND,
    PROBLEM_SHIPMENT_NOT_FOUND,
    PROBLEM_WEBHOOK_NOT_FOUND,
    PROBLEM_WEBHOOK_LIMIT,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_IDEMPOTENCY_CONFLICT,
    PROBLEM_REFERENCE_TAKEN,
    PROBLEM_INVALID_TRANSITION,
    PROBLEM_CURSOR_EXPIRED,
    PROBLEM_PAYLOAD_TOO_LARGE,
    PROBLEM_UNSUPPORTED_MEDIA_TYPE,
    PROBLEM_IDEMPOTENCY_KEY_REUSED,
    PROBLEM_RATE_LIMITED,
    PROBLEM_OVERLOADED,
    PROBLEM_UNAVAILABLE,
    PROBLEM_INTERNAL_ERROR,
};

/* Answers with a problem document (RFC 9457). It also has the members error and message of the proof of concept's
 * API. */
void http_reply_problem(struct http_request *request, enum http_problem problem, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same with an extension member: an array of elements (JSON values, separated by commas). */
void http_reply_problem_with(struct http_request *request, enum http_problem problem, const char *array,
                             const struct buf *elements, const char *format, ...) PRINTF_LIKE(5, 6);

/* The faults of a body or query, which are answered together. Zero-initialise it, and free it with
 * http_faults_free. */
struct http_faults {
    struct buf json;  /* the elements of the errors array */
    struct buf first; /* the first fault as text */
    unsigned count;
};
/* Adds a fault at the JSON pointer (RFC 6901) of member within parent, or of parent if member is NULL. parent is
 * itself a pointer, e.g. "" or "/items/0", or the name of a query argument. */
void http_fault(struct http_faults *faults, const char *parent, const char *member, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Adds a fault for each member of object that is not in known (NULL-terminated). */
void http_fault_unknown(struct http_faults *faults, json_t *object, const char *parent,
                        const char *const known[]);
/* Answers 400 VALIDATION_ERROR with the faults, the first 50 of them, and frees them. */
void http_reply_faults(struct http_request *request, struct http_faults *faults);
void http_faults_free(struct http_faults *faults);

/* Adds a header to the reply, after the function that made the reply. The value is copied. */
void http_reply_header(struct http_request *request, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
