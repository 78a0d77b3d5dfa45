/* Streams, which sleep in libmicrohttpd until there is something to send. */
#include "stream.h"

#include <pthread.h>

enum { BLOCK = 1024 }; /* bytes that libmicrohttpd asks for at once, of a client of HTTP/1.0 */

struct http_stream {
    struct http_exchange *exchange;
    struct http_stream_source source;
    void *cls;
    pthread_mutex_t lock; /* guards the rest */
    bool asleep;          /* the connection is suspended */
    bool woken;           /* since read was last called */
};

struct http_stream *http_reply_stream(struct http_request *request, const char *content_type,
                                      const struct http_stream_source *source, void *cls) {
    struct http_exchange *x = http_exchange_of(request);
    struct http_stream *stream = arena_alloc(&request->arena, sizeof *stream);
    if (!stream)
        return NULL;
    *stream = (struct http_stream){.exchange = x, .source = *source, .cls = cls};
    pthread_mutex_init(&stream->lock, NULL);
    http_reply_empty(request, 200);
    request->reply.content_type = content_type;
    x->stream = stream;
    return stream;
}

/* Puts the connection to sleep, unless the stream was woken in the meantime. */
static bool fell_asleep(struct http_stream *stream) {
    struct MHD_Connection *connection = stream->exchange->connection;
    pthread_mutex_lock(&stream->lock);
    bool asleep = stream->asleep = !stream->woken;
    stream->woken = false;
    if (asleep) {
        http_connection_unlimit(http_connection_of(connection));
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&stream->lock);
    return asleep;
}

static ssize_t read_stream(void *cls, uint64_t position, char *out, size_t size) {
    struct http_stream *stream = cls;
    (void)position;
    for (;;) {
        ssize_t got = stream->source.read(stream->cls, out, size);
        if (got < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (got > 0) {
            http_connection_limit(http_connection_of(stream->exchange->connection));
            return got;
        }
        if (fell_asleep(stream))
            return 0;
    }
}

void http_stream_wake(struct http_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    bool asleep = stream->asleep;
    stream->asleep = false;
    stream->woken = !asleep;
    if (asleep)
        MHD_resume_connection(stream->exchange->connection);
    pthread_mutex_unlock(&stream->lock);
}

struct MHD_Response *http_stream_response(struct http_exchange *x) {
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, x->stream, NULL);
}

void http_stream_end(struct http_exchange *x) {
    if (!x->stream)
        return;
    x->stream->source.close(x->stream->cls);
    pthread_mutex_destroy(&x->stream->lock);
    x->stream = NULL;
}
