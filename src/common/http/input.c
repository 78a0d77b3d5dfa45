/* The headers and arguments of a request, and the refusal of ambiguous requests. */
#include "private.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* libmicrohttpd before 1.0 keeps the blanks after a value, which are not part of it (RFC 9112 §5.1). */
const char *http_header(struct http_request *request, const char *name) {
    const char *value =
        MHD_lookup_connection_value(http_exchange_of(request)->connection, MHD_HEADER_KIND, name);
    size_t len = value ? strlen(value) : 0;
    while (len > 0 && strchr(" \t", value[len - 1]))
        len--;
    const char *trimmed = value && value[len] ? arena_memdup(&request->arena, value, len) : NULL;
    return trimmed ? trimmed : value;
}

const char *http_query(struct http_request *request, const char *name) {
    return MHD_lookup_connection_value(http_exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct header_count {
    const char *name;
    unsigned count;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    (void)kind, (void)value;
    struct header_count *c = cls;
    c->count += strcasecmp(key, c->name) == 0;
    return MHD_YES;
}

unsigned http_header_count(struct http_request *request, const char *name) {
    struct header_count c = {name, 0};
    MHD_get_connection_values(http_exchange_of(request)->connection, MHD_HEADER_KIND, count_header, &c);
    return c.count;
}

struct query_check {
    const char *const *known;
    unsigned long long seen; /* bit i: known[i] */
    const char *fault;
};

static enum MHD_Result check_query(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    (void)kind;
    struct query_check *check = cls;
    for (unsigned i = 0; check->known[i]; i++) {
        if (strcmp(key, check->known[i]) != 0)
            continue;
        if (!value || check->seen & 1ULL << i)
            break;
        check->seen |= 1ULL << i;
        return MHD_YES;
    }
    check->fault = key;
    return MHD_NO;
}

const char *http_query_fault(struct http_request *request, const char *const known[]) {
    struct query_check check = {.known = known};
    MHD_get_connection_values(http_exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, check_query,
                              &check);
    return check.fault;
}

bool http_expect_json(struct http_request *request) {
    static const char json[] = "application/json";
    const char *type = http_header(request, "Content-Type");
    if (type && strncasecmp(type, json, sizeof json - 1) == 0 && strchr(" \t;", type[sizeof json - 1]))
        return true; /* strchr also matches the NUL at the end */
    http_reply_problem(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json");
    return false;
}

bool http_expect_plain(struct http_request *request) {
    const char *encoding = http_header(request, "Content-Encoding");
    if (!encoding ||
        (strcasecmp(encoding, "identity") == 0 && http_header_count(request, "Content-Encoding") == 1))
        return true;
    http_reply_problem(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "Send the body without a Content-Encoding");
    http_reply_header(request, "Accept-Encoding", "identity"); /* RFC 9110 §15.5.16 */
    return false;
}

/* libmicrohttpd keeps the heads of a request and of its answer in the same memory. If the latter does not fit, it
 * hangs up without an answer, even after the order was created. */
enum {
    FIELD_MEMORY = 64, /* per header, cookie or query parameter */
    ANSWER_MEMORY = 1536,
};

static bool answer_fits(const struct http_exchange *x, size_t memory) {
    return memory + ANSWER_MEMORY + http_cors_memory(x->server) <= HTTP_CONNECTION_MEMORY;
}

/* The framing of a request, gathered in one pass over its headers. */
struct framing {
    unsigned hosts, lengths, encodings;
    const char *host, *encoding;
    size_t memory; /* that libmicrohttpd needs for them, besides their text */
    bool malformed;
    const char *end; /* end of the previous line, in libmicrohttpd's buffer */
};

/* A character of a token (RFC 9110 §5.6.2). */
static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!is_token_char(text[i]))
            return false;
    return len > 0;
}

static bool is_field_value(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == '\177')
            return false;
    return true;
}

/* Whether the line begins right after the CR LF of the previous line. libmicrohttpd before 1.0 ends a line at an LF
 * alone, cuts it at a NUL, takes a line that begins with a NUL for the empty line, and joins folded lines. It
 * parses in place, and writes zeros where a line ended. So a line that begins elsewhere is not what was sent. */
static bool follows(const char *line, const char *end_of_last) {
    return MHD_VERSION >= 0x00097701 || line == end_of_last + 2;
}

/* The same check for the end of the head, CR LF CR LF. */
static bool ends(const char *head_end, const char *end_of_last) {
    return MHD_VERSION >= 0x00097701 ||
           (head_end == end_of_last + 4 && memcmp(end_of_last, (char[4]){0}, 4) == 0);
}

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                      const char *value, size_t value_len) {
    struct framing *f = cls;
    f->memory += FIELD_MEMORY;
    if (kind != MHD_HEADER_KIND)
        return MHD_YES;
    f->malformed |= !is_token(name, name_len) || !is_field_value(value, value_len) || !follows(name, f->end);
    f->end = value + value_len;
    if (strcasecmp(name, "Host") == 0) {
        f->hosts++;
        f->host = value;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        f->lengths++;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        f->encodings++;
        f->encoding = value;
    } else if (strcasecmp(name, "Cookie") == 0) {
        f->memory += value_len; /* libmicrohttpd parses a copy */
    }
    return MHD_YES;
}

/* Whether libmicrohttpd parsed the request line and the header lines exactly as they were sent, byte for byte. */
static bool read_head(struct http_exchange *x, const char *version, struct framing *f) {
    const struct http_connection *connection = http_connection_of(x->connection);
    f->end = version + strlen(version);
    f->malformed = !is_token(x->method, strlen(x->method)) ||
                   !http_connection_line_is_clear(connection, x->method, version);
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND | MHD_COOKIE_KIND | MHD_GET_ARGUMENT_KIND,
                                look_at_header, f);
    size_t size =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    f->memory += size;
    return !f->malformed && ends(x->method + size, f->end);
}

bool http_framing_is_clear(struct http_exchange *x, const char *version) {
    struct http_request *request = &x->request;
    struct framing f = {0};
    bool old = strcmp(version, "HTTP/1.0") == 0, clear = read_head(x, version, &f);
    x->head_memory = f.memory;
    if (!clear)
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR, "The request line or a header is malformed");
    else if (!answer_fits(x, f.memory))
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR,
                           "The request line and the headers are too large");
    else if (f.lengths + f.encodings > 1)
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR,
                           "The length of the body is given more than once");
    else if (f.encoding && (old || strcasecmp(f.encoding, "chunked") != 0))
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR,
                           "Transfer-Encoding must be chunked, in HTTP/1.1");
    else if (f.hosts > 1 || (f.hosts == 0 && !old))
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR, "Send exactly one Host header");
    else if (f.host && strspn(f.host, LETTERS_AND_DIGITS "-._~%!$&'()*+;=:[]") != strlen(f.host))
        http_reply_problem(request, PROBLEM_VALIDATION_ERROR, "The Host header is not a valid host");
    else
        return true;
    return false;
}

static enum MHD_Result weigh_trailer(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                     const char *value, size_t value_len) {
    (void)kind, (void)name, (void)value;
    *(size_t *)cls += name_len + value_len + FIELD_MEMORY;
    return MHD_YES;
}

bool http_trailers_fit(struct http_exchange *x) {
    size_t memory = x->head_memory;
    MHD_get_connection_values_n(x->connection, MHD_FOOTER_KIND, weigh_trailer, &memory);
    if (answer_fits(x, memory))
        return true;
    http_reply_problem(&x->request, PROBLEM_VALIDATION_ERROR, "The headers and trailers are too large");
    return false;
}
