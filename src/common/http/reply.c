/* Building replies: JSON, problem documents (RFC 9457), headers. */
#include "common/base/json_write.h"
#include "private.h"

#include <string.h>

static const struct {
    const char *code;
    unsigned status;
    const char *title;
    bool retry; /* the same request may succeed soon, so there is a Retry-After */
} problems[] = {
    [PROBLEM_VALIDATION_ERROR] = {"VALIDATION_ERROR", 400, "The request is not valid", false},
    [PROBLEM_UNAUTHORIZED] = {"UNAUTHORIZED", 401, "Authentication is required", false},
    [PROBLEM_INVALID_TOKEN] = {"INVALID_TOKEN", 401, "The access token is not valid", false},
    [PROBLEM_TOKEN_EXPIRED] = {"TOKEN_EXPIRED", 401, "The access token has expired", false},
    [PROBLEM_FORBIDDEN] = {"FORBIDDEN", 403, "The access token does not allow this", false},
    [PROBLEM_NOT_FOUND] = {"NOT_FOUND", 404, "Not found", false},
    [PROBLEM_ORDER_NOT_FOUND] = {"ORDER_NOT_FOUND", 404, "Order not found", false},
    [PROBLEM_SHIPMENT_NOT_FOUND] = {"SHIPMENT_NOT_FOUND", 404, "Shipment not found", false},
    [PROBLEM_WEBHOOK_LIMIT] = {"WEBHOOK_LIMIT", 409, "The client has as many webhooks as it may", false},
    [PROBLEM_WEBHOOK_NOT_FOUND] = {"WEBHOOK_NOT_FOUND", 404, "Webhook not found", false},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"METHOD_NOT_ALLOWED", 405, "Method not allowed", false},
    [PROBLEM_IDEMPOTENCY_CONFLICT] = {"IDEMPOTENCY_CONFLICT", 409,
                                      "A request with this Idempotency-Key is in progress", true},
    [PROBLEM_REFERENCE_TAKEN] = {"REFERENCE_TAKEN", 409, "Another order has this reference", false},
    [PROBLEM_INVALID_TRANSITION] = {"INVALID_TRANSITION", 409, "The status cannot change this way", false},
    [PROBLEM_CURSOR_EXPIRED] = {"CURSOR_EXPIRED", 410, "The events after this position are no longer kept",
                                false},
    [PROBLEM_PAYLOAD_TOO_LARGE] = {"PAYLOAD_TOO_LARGE", 413, "The request body is too large", false},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {"UNSUPPORTED_MEDIA_TYPE", 415, "The media type is not supported",
                                        false},
    [PROBLEM_IDEMPOTENCY_KEY_REUSED] = {"IDEMPOTENCY_KEY_REUSED", 422,
                                        "This Idempotency-Key was used with another request", false},
    [PROBLEM_RATE_LIMITED] = {"RATE_LIMITED", 429,
                              "Request cannot be satisfied as assigned quota has been exceeded", false},
    [PROBLEM_OVERLOADED] = {"OVERLOADED", 503, "The service is overloaded", true},
    [PROBLEM_UNAVAILABLE] = {"UNAVAILABLE", 503, "The service is not available", true},
    [PROBLEM_INTERNAL_ERROR] = {"INTERNAL_ERROR", 500, "Internal error", false},
};

static const char *type_of(unsigned status) {
    return status == 429 ? "https://iana.org/assignments/http-problem-types#quota-exceeded" : "about:blank";
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
    request->arena.failed |= body->failed;
    start_reply(request, status, content_type);
    request->reply.body = *body;
    *body = (struct buf){0};
}

static void reply_add_header(struct http_reply *reply, const char *name, const char *value) {
    if (reply->header_count < HTTP_MAX_HEADERS)
        reply->headers[reply->header_count++] = (struct http_header){name, value};
}

static void reply_problem(struct http_request *request, enum http_problem problem, const char *array,
                          const struct buf *elements, const char *format, va_list args) PRINTF_LIKE(5, 0);
static void reply_problem(struct http_request *request, enum http_problem problem, const char *array,
                          const struct buf *elements, const char *format, va_list args) {
    unsigned status = problems[problem].status;
    struct buf b = {0}, detail = {0};
    buf_vprintf(&detail, format, args);
    const char *words = detail.data ? detail.data : "";
    buf_printf(&b, "{\"type\":\"%s\",\"title\":", type_of(status));
    json_append_text(&b, problems[problem].title);
    buf_printf(&b, ",\"status\":%u,\"detail\":", status);
    json_append_text(&b, words);
    buf_printf(&b, ",\"error\":\"%s\",\"message\":", problems[problem].code);
    json_append_text(&b, words);
    if (array) {
        buf_printf(&b, ",\"%s\":[", array);
        buf_append(&b, elements->data, elements->len);
        buf_char(&b, ']');
    }
    buf_str(&b, ",\"request_id\":");
    json_append_text(&b, request->request_id);
    buf_char(&b, '}');
    b.failed |= detail.failed || (array && elements->failed);
    buf_free(&detail);
    http_reply_as(request, status, "application/problem+json", &b);
    if (problems[problem].retry)
        reply_add_header(&request->reply, "Retry-After", "1");
}

void http_reply_shortage(struct http_request *request) {
    if (!request->arena.failed && !request->reply.body.failed)
        return;
    http_reply_problem(request, PROBLEM_UNAVAILABLE, "The service is out of memory");
    if (request->reply.body.failed) /* the status alone is sent */
        buf_free(&request->reply.body);
}

void http_reply_problem(struct http_request *request, enum http_problem problem, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_problem(request, problem, NULL, NULL, format, args);
    va_end(args);
}

void http_reply_problem_with(struct http_request *request, enum http_problem problem, const char *array,
                             const struct buf *elements, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_problem(request, problem, array, elements, format, args);
    va_end(args);
}

void http_reply_faults(struct http_request *request, struct http_faults *faults) {
    if (faults->count > 1)
        buf_printf(&faults->first, " (and %u more)", faults->count - 1);
    http_reply_problem_with(request, PROBLEM_VALIDATION_ERROR, "errors", &faults->json, "%s",
                            faults->first.data ? faults->first.data : "");
    request->arena.failed |= faults->first.failed;
    http_faults_free(faults);
}

void http_reply_header(struct http_request *request, const char *name, const char *format, ...) {
    struct buf value = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&value, format, args);
    va_end(args);
    const char *copy = value.failed ? NULL : arena_strdup(&request->arena, value.data);
    request->arena.failed |= value.failed;
    buf_free(&value);
    if (copy)
        reply_add_header(&request->reply, name, copy);
}
