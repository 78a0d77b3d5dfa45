/* Reading HTTP/1.1 strictly. */
#include "strict_http.h"

#include <string.h>
#include <strings.h>

#define TOKEN "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

bool strict_is(struct strict_text text, const char *word) {
    return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

size_t strict_span(struct strict_text text, const char *allowed) {
    size_t len = 0;
    while (len < text.len && text.at[len] && strchr(allowed, text.at[len]))
        len++;
    return len;
}

/* Whether a line ends here: with CR LF, or NUL LF, which libmicrohttpd before 1.0 leaves looking the same. */
static bool ends(const char *at) {
    return at[1] == '\n' && (at[0] == '\r' || at[0] == '\0');
}

bool strict_line(struct strict_text *input, struct strict_text *line) {
    size_t len = 0;
    while (len + 1 < input->len && !ends(input->at + len))
        len++;
    if (len + 1 >= input->len)
        return false;
    *line = (struct strict_text){input->at, len};
    *input = (struct strict_text){input->at + len + 2, input->len - len - 2};
    return true;
}

static bool is_printable(struct strict_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (((unsigned char)text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == '\177')
            return false;
    return true;
}

static bool start(struct strict_text line, struct strict_request *out) {
    const char *first = memchr(line.at, ' ', line.len), *last = memrchr(line.at, ' ', line.len);
    if (!first || first == last || !is_printable(line) || memchr(line.at, '\t', line.len))
        return false;
    struct strict_text version = {last + 1, (size_t)(line.at + line.len - last - 1)};
    out->method = (struct strict_text){line.at, (size_t)(first - line.at)};
    out->target = (struct strict_text){first + 1, (size_t)(last - first - 1)};
    out->old = version.len == 8 && memcmp(version.at, "HTTP/1.0", 8) == 0;
    return out->method.len > 0 && strict_span(out->method, TOKEN) == out->method.len && out->target.len > 0 &&
           !memchr(out->target.at, ' ', out->target.len) &&
           (out->old || (version.len == 8 && memcmp(version.at, "HTTP/1.", 7) == 0 && version.at[7] >= '1' &&
                         version.at[7] <= '9'));
}

bool strict_header(struct strict_text line, struct strict_header *out) {
    size_t name = strict_span(line, TOKEN);
    if (name == 0 || name == line.len || line.at[name] != ':' || !is_printable(line))
        return false;
    struct strict_text value = {line.at + name + 1, line.len - name - 1};
    size_t blanks = strict_span(value, " \t");
    value = (struct strict_text){value.at + blanks, value.len - blanks};
    while (value.len > 0 && strchr(" \t", value.at[value.len - 1]))
        value.len--;
    *out = (struct strict_header){{line.at, name}, value};
    return true;
}

/* Whether the head ends here, with CR LF twice, or with what leaves the same trace: libmicrohttpd before 1.0
 * cuts lines at NUL and ends them at LF alone, and takes a line that begins with NUL, or a header that has no
 * name, for the empty one. start: behind the request line. */
static bool head_ends(const char *at, bool start) {
    static const char ends[][5] = {"\r\n\r\n", "\r\n\0\n", "\0\n\r\n", "\0\n\0\n", "\n\0\r\n", "\n\0\0\n",
                                   "\0\r\n\n", "\0\0\n\n", "\r\n:\n",  "\0\n:\n",  "\n:\r\n",  "\n:\0\n"};
    for (size_t i = 0; i < (start ? 8 : sizeof ends / sizeof *ends); i++)
        if (memcmp(at, ends[i], 4) == 0)
            return true;
    return false;
}

/* Takes a line of a head; last: the head ends with it. False when it has no end. */
static bool head_line(struct strict_text *input, bool start, struct strict_text *line, bool *last) {
    size_t len = 0;
    *last = false;
    for (; len + 1 < input->len; len++) {
        *last = len + 3 < input->len && head_ends(input->at + len, start);
        if (*last || ends(input->at + len))
            break;
    }
    size_t end = len + (*last ? 4 : 2);
    if (end > input->len)
        return false;
    *line = (struct strict_text){input->at, len};
    *input = (struct strict_text){input->at + end, input->len - end};
    return true;
}

static enum strict_result headers(struct strict_text *input, struct strict_request *out) {
    struct strict_text line;
    bool last;
    do {
        if (!head_line(input, false, &line, &last))
            return STRICT_CUT;
        if (!strict_header(line, &out->headers[out->header_count]))
            return STRICT_BAD_HEAD;
        out->header_count++;
    } while (!last);
    return STRICT_CLEAR;
}

static enum strict_result bytes(struct strict_text *input, struct strict_request *out, size_t len) {
    if (input->len < len)
        return STRICT_CUT;
    memcpy(out->body + out->body_len, input->at, len);
    out->body_len += len;
    *input = (struct strict_text){input->at + len, input->len - len};
    return STRICT_CLEAR;
}

static enum strict_result chunks(struct strict_text *input, struct strict_request *out) {
    static const char digits[] = "0123456789abcdef";
    struct strict_text line;
    while (strict_line(input, &line)) {
        size_t count = strict_span(line, "0123456789abcdefABCDEF"), size = 0;
        for (size_t i = 0; i < count && size < sizeof out->body; i++)
            size = size * 16 + (size_t)(strchr(digits, line.at[i] | 0x20) - digits);
        if (count == 0 || (count < line.len && line.at[count] != ';') || !is_printable(line))
            return STRICT_BAD_BODY;
        if (size == 0) { /* the trailers are none of the request's headers */
            size_t kept = out->header_count;
            if (input->len >= 2 && ends(input->at)) {
                *input = (struct strict_text){input->at + 2, input->len - 2};
                return STRICT_CLEAR;
            }
            enum strict_result result = headers(input, out);
            out->header_count = kept;
            return result == STRICT_BAD_HEAD ? STRICT_BAD_BODY : result;
        }
        if (bytes(input, out, size) == STRICT_CUT)
            return STRICT_CUT;
        if (input->len < 2)
            return STRICT_CUT;
        if (memcmp(input->at, "\r\n", 2) != 0)
            return STRICT_BAD_BODY;
        *input = (struct strict_text){input->at + 2, input->len - 2};
    }
    return STRICT_CUT;
}

static enum strict_result body(struct strict_text *input, struct strict_request *out) {
    size_t hosts = 0, lengths = 0, encodings = 0, len = 0;
    for (size_t i = 0; i < out->header_count; i++) {
        const struct strict_header *h = &out->headers[i];
        hosts += strict_is(h->name, "Host");
        if (strict_is(h->name, "Content-Length")) {
            lengths++;
            for (size_t k = 0; k < h->value.len && len < sizeof out->body; k++)
                len = len * 10 + (size_t)(h->value.at[k] - '0');
            if (h->value.len == 0 || strict_span(h->value, "0123456789") != h->value.len)
                return STRICT_BAD_HEAD;
        } else if (strict_is(h->name, "Transfer-Encoding")) {
            encodings++;
            out->chunked = strict_is(h->value, "chunked") && !out->old;
        }
    }
    if (hosts > 1 || (hosts == 0 && !out->old) || lengths + encodings > 1 || (encodings && !out->chunked))
        return STRICT_BAD_HEAD;
    return out->chunked ? chunks(input, out) : bytes(input, out, len);
}

/* Before a request: empty lines (§2.2), also with LF alone, and lines that begin with NUL, which
 * libmicrohttpd before 1.0 takes for empty. */
static void skip_empty(struct strict_text *input) {
    size_t len = 0;
    do {
        *input = (struct strict_text){input->at + len, input->len - len};
        const char *end = input->len ? memchr(input->at, '\n', input->len) : NULL;
        len = end ? (size_t)(end + 1 - input->at) : 0;
    } while (len == 1 || (len == 2 && *input->at == '\r') || (len > 0 && *input->at == '\0'));
}

enum strict_result strict_read(struct strict_text *input, struct strict_request *out) {
    struct strict_text line;
    bool last;
    out->method = out->target = (struct strict_text){"", 0};
    out->header_count = out->body_len = 0;
    out->old = out->chunked = false;
    skip_empty(input);
    if (!head_line(input, true, &line, &last))
        return STRICT_CUT;
    if (!start(line, out))
        return STRICT_BAD_HEAD;
    enum strict_result result = last ? STRICT_CLEAR : headers(input, out);
    return result == STRICT_CLEAR ? body(input, out) : result;
}
