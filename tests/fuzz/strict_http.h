/* Reads HTTP/1.1 requests as RFC 9112 writes them, and not a byte else: the measure for what our server, on a
 * more patient parser, makes of the same bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strict_text { /* borrowed from the input */
    const char *at;
    size_t len;
};

struct strict_header {
    struct strict_text name, value;
};

struct strict_request {
    struct strict_text method, target;
    bool old; /* HTTP/1.0 */
    bool chunked;
    struct strict_header headers[4096];
    size_t header_count;
    char body[16384];
    size_t body_len;
};

enum strict_result {
    STRICT_CLEAR,
    STRICT_CUT, /* so far it is clear, but the input ends */
    STRICT_BAD_HEAD,
    STRICT_BAD_BODY,
};

/* Takes one request from the input. The text in out is the input's. */
enum strict_result strict_read(struct strict_text *input, struct strict_request *out);

/* Takes a line without its end; false when it has none. */
bool strict_line(struct strict_text *input, struct strict_text *line);

bool strict_header(struct strict_text line, struct strict_header *out);

/* Whether the text is the word, in capitals or not. */
bool strict_is(struct strict_text text, const char *word);

/* How many bytes at the start are among those allowed. */
size_t strict_span(struct strict_text text, const char *allowed);
