/* Building replies: JSON, problem documents (RFC 9457), headers. */
#include "common/http.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FAULTS_SHOWN = 50 };

/* The error codes of the API: what a client may rely on. */
static const struct problem {
    const char *code;
    unsigned status;
    const char *title;
    bool retry; /* the same request may succeed later: Retry-After says when */
} problems[] = {
    {"VALIDATION_ERROR", 400, "The request is not valid", false},
    {"UNAUTHORIZED", 401, "Authentication is required", false},
    {"INVALID_TOKEN", 401, "The access token is not valid", false},
    {"TOKEN_EXPIRED", 401, "The access token has expired", false},
    {"FORBIDDEN", 403, "The access token does not allow this", false},
    {"NOT_FOUND", 404, "Not found", false},
    {"ORDER_NOT_FOUND", 404, "Order not found", false},
    {"SHIPMENT_NOT_FOUND", 404, "Shipment not found", false},
    {"METHOD_NOT_ALLOWED", 405, "Method not allowed", false},
    {"IDEMPOTENCY_CONFLICT", 409, "A request with this Idempotency-Key is in progress", true},
    {"INVALID_TRANSITION", 409, "The status cannot change this way", false},
    {"PAYLOAD_TOO_LARGE", 413, "The request body is too large", false},
    {"UNSUPPORTED_MEDIA_TYPE", 415, "The media type is not supported", false},
    {"IDEMPOTENCY_KEY_REUSED", 422, "This Idempotency-Key was used with another request", false},
    {"RATE_LIMITED", 429, "Too many requests", true},
    {"OVERLOADED", 503, "The service is overloaded", true},
    {"UNAVAILABLE", 503, "The service is not available", true},
    {"INTERNAL_ERROR", 500, "Internal error", false}, /* last: stands for a code that is not in the table */
};

static const struct problem *find_problem(const char *code) {
    size_t last = sizeof problems / sizeof *problems - 1;
    for (size_t i = 0; i < last; i++)
        if (strcmp(problems[i].code, code) == 0)
            return &problems[i];
    return &problems[last];
}

static void start_reply(struct http_request *request, unsigned status, const char *content_type) {
    struct http_reply *reply = &request->reply;
    buf_free(&reply->body);
    *reply = (struct http_reply){.status = status, .content_type = content_type};
}

void http_reply_empty(struct http_request *request, unsigned status) {
    start_reply(request, status, NULL);
}

void http_reply_json(struct http_request *request, unsigned status, struct buf *body) {
    if (body->failed) {
        buf_free(body);
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
        return;
    }
    start_reply(request, status, "application/json");
    request->reply.body = *body;
    *body = (struct buf){0};
}

static void reply_problem(struct http_request *request, const struct problem *problem, const char *detail,
                          const struct buf *errors) {
    struct buf b = {0};
    buf_printf(&b, "{\"type\":\"about:blank\",\"title\":");
    buf_json(&b, problem->title);
    buf_printf(&b, ",\"status\":%u,\"detail\":", problem->status);
    buf_json(&b, detail);
    buf_printf(&b, ",\"error\":\"%s\",\"message\":", problem->code);
    buf_json(&b, detail);
    if (errors) {
        buf_str(&b, ",\"errors\":[");
        buf_append(&b, errors->data, errors->len);
        buf_char(&b, ']');
    }
    buf_str(&b, ",\"request_id\":");
    buf_json(&b, request->request_id);
    buf_char(&b, '}');
    if (b.failed) /* the status alone must do */
        buf_free(&b);
    start_reply(request, problem->status, "application/problem+json");
    request->reply.body = b;
    if (problem->retry)
        http_reply_header(request, "Retry-After", "1");
}

void http_reply_problem(struct http_request *request, const char *code, const char *format, ...) {
    struct buf detail = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    reply_problem(request, find_problem(code), detail.data ? detail.data : "", NULL);
    buf_free(&detail);
}

void http_fault(struct http_faults *faults, const char *pointer, const char *format, ...) {
    if (faults->count++ >= MAX_FAULTS_SHOWN)
        return;
    struct buf detail = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    if (faults->count == 1)
        snprintf(faults->first, sizeof faults->first, "%s%s%s", pointer, *pointer ? ": " : "",
                 detail.data ? detail.data : "");
    buf_str(&faults->json, faults->count > 1 ? ",{\"pointer\":" : "{\"pointer\":");
    buf_json(&faults->json, pointer);
    buf_str(&faults->json, ",\"detail\":");
    buf_json(&faults->json, detail.data ? detail.data : "");
    buf_char(&faults->json, '}');
    buf_free(&detail);
}

void http_reply_faults(struct http_request *request, struct http_faults *faults) {
    char detail[sizeof faults->first + 32];
    if (faults->count == 1)
        snprintf(detail, sizeof detail, "%s", faults->first);
    else
        snprintf(detail, sizeof detail, "%s (and %u more)", faults->first, faults->count - 1);
    if (faults->json.failed)
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
    else
        reply_problem(request, find_problem("VALIDATION_ERROR"), detail, &faults->json);
    http_faults_free(faults);
}

void http_faults_free(struct http_faults *faults) {
    buf_free(&faults->json);
    *faults = (struct http_faults){0};
}

void http_reply_header(struct http_request *request, const char *name, const char *format, ...) {
    struct http_reply *reply = &request->reply;
    struct buf value = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&value, format, args);
    va_end(args);
    char *copy = value.data ? arena_strdup(&request->arena, value.data) : NULL;
    buf_free(&value);
    if (copy && reply->header_count < HTTP_MAX_HEADERS)
        reply->headers[reply->header_count++] = (struct http_header){name, copy};
}
