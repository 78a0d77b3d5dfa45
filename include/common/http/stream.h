/* Replies that do not end at once: streams, and requests whose answer waits for something to happen.
 *
 * Both are for the run of a route. Whoever holds one must let go of it before http_stop. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct http_request;
struct http_stream;

struct http_stream_source {
    /* Copies up to size bytes into out, and returns how many. 0: there are none yet, and the connection sleeps until
     * http_stream_wake. Negative: the stream is over. On an HTTP thread. */
    ssize_t (*read)(void *cls, char *out, size_t size);
    /* The stream is over, or its client is gone. Neither the stream nor its request is used afterwards. On an HTTP
     * thread. */
    void (*close)(void *cls);
};

/* Answers 200 with a stream. NULL when out of memory; then source is not used. What the request's arena holds lives until
 * source's close. */
struct http_stream *http_reply_stream(struct http_request *request, const char *content_type,
                                      const struct http_stream_source *source, void *cls) MUST_CHECK;

/* There may be bytes, or the stream is over. Any thread, before close. */
void http_stream_wake(struct http_stream *stream);

/* The request will be answered later, by http_answer, on any thread: run may return without an answer. The caller owns the
 * request until then. The time in between does not count as the time it took. */
void http_keep(struct http_request *request);
/* The reply of a kept request is complete. The caller does not own it any more. */
void http_answer(struct http_request *request);
