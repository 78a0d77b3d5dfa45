/* Building replies: JSON, problem documents (RFC 9457), headers. */
#include "common/http/http.h"

#include <string.h>

/* The error codes of the API: what a client may rely on. */
static const struct problem {
    const char *code;
    unsigned status;
    const char *title;
    bool retry; /* the same request may succeed in a moment: Retry-After says so */
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
    {"RATE_LIMITED", 429, "Request cannot be satisfied as assigned quota has been exceeded", false},
    {"OVERLOADED", 503, "The service is overloaded", true},
    {"UNAVAILABLE", 503, "The service is not available", true},
    {"INTERNAL_ERROR", 500, "Internal error", false}, /* last: stands for a code that is not in the table */
};

static const char *type_of(const struct problem *problem) {
    return problem->status == 429 ? "https://iana.org/assignments/http-problem-types#quota-exceeded"
                                  : "about:blank";
}

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
    http_reply_as(request, status, "application/json", body);
}

void http_reply_as(struct http_request *request, unsigned status, const char *content_type,
                   struct buf *body) {
    if (body->failed) {
        buf_free(body);
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
        return;
    }
    start_reply(request, status, content_type);
    request->reply.body = *body;
    *body = (struct buf){0};
}

static void add_header(struct http_reply *reply, const char *name, const char *value) {
    if (reply->header_count < HTTP_MAX_HEADERS)
        reply->headers[reply->header_count++] = (struct http_header){name, value};
}

static void reply_problem(struct http_request *request, const char *code, const char *array,
                          const struct buf *elements, const char *format, va_list args) PRINTF_LIKE(5, 0);
static void reply_problem(struct http_request *request, const char *code, const char *array,
                          const struct buf *elements, const char *format, va_list args) {
    const struct problem *problem = find_problem(code);
    struct buf b = {0}, detail = {0};
    buf_vprintf(&detail, format, args);
    const char *words = detail.data ? detail.data : "";
    buf_printf(&b, "{\"type\":\"%s\",\"title\":", type_of(problem));
    buf_json(&b, problem->title);
    buf_printf(&b, ",\"status\":%u,\"detail\":", problem->status);
    buf_json(&b, words);
    buf_printf(&b, ",\"error\":\"%s\",\"message\":", problem->code);
    buf_json(&b, words);
    if (array) {
        buf_printf(&b, ",\"%s\":[", array);
        buf_append(&b, elements->data, elements->len);
        buf_char(&b, ']');
    }
    buf_str(&b, ",\"request_id\":");
    buf_json(&b, request->request_id);
    buf_char(&b, '}');
    bool whole = !b.failed && !detail.failed && !(array && elements->failed);
    buf_free(&detail);
    if (!whole) /* the status alone must do */
        buf_free(&b);
    start_reply(request, problem->status, "application/problem+json");
    request->reply.body = b;
    if (problem->retry)
        add_header(&request->reply, "Retry-After", "1");
}

void http_reply_problem(struct http_request *request, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_problem(request, code, NULL, NULL, format, args);
    va_end(args);
}

void http_reply_problem_with(struct http_request *request, const char *code, const char *array,
                             const struct buf *elements, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_problem(request, code, array, elements, format, args);
    va_end(args);
}

void http_reply_faults(struct http_request *request, struct http_faults *faults) {
    if (faults->count > 1)
        buf_printf(&faults->first, " (and %u more)", faults->count - 1);
    if (faults->json.failed || faults->first.failed)
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
    else
        http_reply_problem_with(request, "VALIDATION_ERROR", "errors", &faults->json, "%s",
                                faults->first.data);
    http_faults_free(faults);
}

void http_reply_header(struct http_request *request, const char *name, const char *format, ...) {
    struct buf value = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&value, format, args);
    va_end(args);
    char *copy = value.failed ? NULL : arena_strdup(&request->arena, value.data);
    buf_free(&value);
    if (copy)
        add_header(&request->reply, name, copy);
    else
        http_reply_problem(request, "UNAVAILABLE", "The service is short of memory");
}
