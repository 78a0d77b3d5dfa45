/* Requests whose handlers run short of memory: what the server makes of them. Include in one file of a test. */
#pragma once

#include "common/http/private.h"
#include "fakes/fake_http.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* After a prepare: whether there is a command to run. If not, the server answers 503. */
static inline bool prepared(struct http_request *request) {
    bool whole = !request->reply.status && !request->arena.failed;
    if (whole) {
        assert_non_null(request->command);
    } else {
        http_reply_shortage(request);
        assert_int_equal(request->reply.status, 503);
    }
    return whole;
}

/* The request's answer: false when it is 503, which may have no words; else it is this one and whole. */
static inline bool answered(struct http_request *request, unsigned status, const char *header) {
    http_reply_shortage(request);
    const struct http_reply *reply = &request->reply;
    bool whole = reply->status == status;
    if (!whole)
        assert_int_equal(reply->status, 503);
    else if (header)
        assert_non_null(fake_reply_header(request, header));
    if (whole)
        assert_true(reply->body.len > 0);
    if (reply->body.len > 0) {
        json_t *body = json_loadb(reply->body.data, reply->body.len, 0, NULL);
        assert_non_null(body);
        if (strcmp(reply->content_type, "application/problem+json") == 0)
            assert_int_equal(json_integer_value(json_object_get(body, "status")), reply->status);
        json_decref(body);
    }
    fake_end(request);
    return whole;
}
