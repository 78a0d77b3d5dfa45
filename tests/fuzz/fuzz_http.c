/* Fuzz target: bytes of a client to a real server, over a socket. What the server takes for a request is what
 * a strict reader (strict_http.h) takes for one, at the same place, with the same content; where that reader
 * is not content, nothing is taken for a request any more. */
#include "fuzz.h"

#include "common/http/private.h"
#include "strict_http.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_LIMIT = 8192, MAX_SEEN = 1024, PATIENCE_MS = 60000 };

/* What the handlers saw of a request. */
struct seen {
    char *method, *path, *probe, *argument;
    char request_id[HTTP_REQUEST_ID_SIZE], traceparent[TRACEPARENT_SIZE];
    struct buf body;
};

static struct seen seen[MAX_SEEN]; /* written on the HTTP thread, read when the connection is closed */
static size_t seen_count;

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

static void look(struct http_request *request) {
    HOLDS(seen_count < MAX_SEEN);
    struct seen *s = &seen[seen_count++];
    *s = (struct seen){.method = copy(http_exchange_of(request)->method),
                       .path = copy(http_exchange_of(request)->path),
                       .probe = copy(http_header(request, "X-Probe")),
                       .argument = copy(http_query(request, "a"))};
    strcpy(s->request_id, request->request_id);
    strcpy(s->traceparent, request->traceparent);
    buf_append(&s->body, request->body.data, request->body.len);
}

static void answer_at_once(struct http_request *request) {
    look(request);
    http_reply_empty(request, 204);
}

static enum outcome answer_later(struct http_worker *worker, struct http_request *requests[], size_t n) {
    (void)worker;
    for (size_t i = 0; i < n; i++)
        http_reply_empty(requests[i], 204);
    return OUTCOME_DONE;
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/", .prepare = answer_at_once},
    {.method = "GET", .pattern = "/:one", .prepare = answer_at_once},
    {.method = "POST", .pattern = "/:one", .body_limit = INPUT_LIMIT, .prepare = look, .run = answer_later},
    {.method = "GET", .pattern = "/:one/:two", .prepare = answer_at_once},
    {.method = "POST", .pattern = "/small/:two", .body_limit = 8, .prepare = answer_at_once},
    {0},
};

struct http_worker {
    int unused;
};

static struct http_worker *open_worker(void *app) {
    (void)app;
    return calloc(1, sizeof(struct http_worker));
}

static void close_worker(struct http_worker *worker) {
    free(worker);
}

static struct http_server *start(void) {
    return http_start(&(struct http_options){.bind_address = "127.0.0.1",
                                             .trusted_proxies = "",
                                             .tls_cert_file = "",
                                             .tls_key_file = "",
                                             .threads = 1,
                                             .max_connections = 16,
                                             .timeout_ms = 3 * PATIENCE_MS,
                                             .queue_timeout_ms = 3 * PATIENCE_MS,
                                             .lane_capacity = 16,
                                             .max_batch = 4,
                                             .workers = 1,
                                             .routes = routes,
                                             .open_worker = open_worker,
                                             .close_worker = close_worker});
}

/* Takes the next final answer; its status, 0 when there is none or not all of it. ours: not one of
 * libmicrohttpd's own. */
static int next_answer(struct strict_text *input, bool head, bool *ours) {
    struct strict_text line;
    int status = 0;
    do {
        size_t len = 0;
        *ours = false;
        if (!strict_line(input, &line))
            return 0;
        HOLDS(line.len > 12 && memcmp(line.at, "HTTP/1.", 7) == 0);
        status = atoi(line.at + 9);
        struct strict_header header;
        bool more;
        while ((more = strict_line(input, &line)) && line.len > 0) {
            HOLDS(strict_header(line, &header));
            if (strict_is(header.name, "Content-Length"))
                len = (size_t)atoi(header.value.at);
            *ours |= strict_is(header.name, "X-Request-Id");
        }
        len = head ? 0 : len;
        if (!more || len > input->len)
            return 0;
        *input = (struct strict_text){input->at + len, input->len - len};
    } while (status < 200);
    return status;
}

/* Answers to HEAD have no bodies; methods are told apart by case. */
static bool is_head(const struct strict_request *wanted) {
    return wanted->method.len == 4 && memcmp(wanted->method.at, "HEAD", 4) == 0;
}

/* Whether all clear requests of the input have their answers, or one of them was the last. */
static bool is_answered(struct strict_text answers, struct strict_text input) {
    static struct strict_request wanted;
    while (strict_read(&input, &wanted) == STRICT_CLEAR) {
        bool ours;
        int status = next_answer(&answers, is_head(&wanted), &ours);
        if (status == 0 || status == 400 || status == 413 || !ours || wanted.chunked)
            return status != 0;
    }
    return true;
}

/* Sends all of it, and nothing more; receives until the server has closed. It takes the end of what is sent
 * for the end of the client: so that comes when what is clear is answered. */
static void talk(struct http_server *server, struct strict_text input, struct buf *answers) {
    static const struct sockaddr nobody = {.sa_family = AF_UNIX};
    static const struct timespec moment = {.tv_nsec = 10000};
    int ends[2];
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    HOLDS(MHD_add_connection(server->daemon, ends[1], &nobody, sizeof nobody) == MHD_YES);
    (void)!send(ends[0], input.at, input.len, MSG_NOSIGNAL); /* it may be refused before its end */
    struct pollfd readable = {.fd = ends[0], .events = POLLIN};
    char piece[4096];
    ssize_t got;
    do {
        if (is_answered((struct strict_text){answers->data, answers->len}, input))
            shutdown(ends[0], SHUT_WR);
        HOLDS(poll(&readable, 1, PATIENCE_MS) == 1);
        got = recv(ends[0], piece, sizeof piece, 0);
        if (got > 0)
            buf_append(answers, piece, (size_t)got);
    } while (got > 0);
    close(ends[0]);
    while (MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections)
        nanosleep(&moment, NULL);
}

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Text with its escapes decoded; as it is when one of them is bad or stands for NUL. The caller frees it. */
static char *decoded(struct strict_text text) {
    char *out = calloc(1, text.len + 1);
    size_t len = 0;
    HOLDS(out);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '%') {
            int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1,
                low = high < 0 ? -1 : hex_digit(text.at[i + 2]);
            if (low < 0 || high + low == 0) {
                memcpy(out, text.at, text.len);
                return out;
            }
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = text.at[i];
        }
    }
    memset(out + len, 0, text.len - len);
    return out;
}

static struct strict_text path_of(struct strict_text target) {
    const char *query = memchr(target.at, '?', target.len);
    struct strict_text path = {target.at, query ? (size_t)(query - target.at) : target.len};
    if (path.len < 7 || strncasecmp(path.at, "http://", 7) != 0)
        return path;
    const char *slash = memchr(path.at + 7, '/', path.len - 7);
    return slash ? (struct strict_text){slash, (size_t)(path.at + path.len - slash)}
                 : (struct strict_text){"/", 1};
}

static const struct strict_text *header_of(const struct strict_request *wanted, const char *name) {
    for (size_t i = 0; i < wanted->header_count; i++)
        if (strict_is(wanted->headers[i].name, name))
            return &wanted->headers[i].value;
    return NULL;
}

static bool is_text(const struct strict_text *text, const char *other) {
    return text && other ? text->len == strlen(other) && memcmp(text->at, other, text->len) == 0
                         : !text == !other;
}

static bool is_request_id(const struct strict_text *text) {
    return text && text->len >= 1 && text->len <= 128 &&
           strict_span(*text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               text->len;
}

/* Only the routes of POST have a limit for bodies. The others are not given what they got. */
static void check_body(const struct buf *body, const struct strict_request *wanted) {
    HOLDS(body->len == (is_text(&wanted->method, "POST") ? wanted->body_len : 0));
    HOLDS(body->len == 0 || memcmp(body->data, wanted->body, body->len) == 0);
}

static void check_head(const struct seen *s, const struct strict_request *wanted) {
    char *path = decoded(path_of(wanted->target));
    HOLDS(is_text(&wanted->method, s->method));
    HOLDS(same_text(path, s->path));
    HOLDS(is_text(header_of(wanted, "X-Probe"), s->probe));
    const struct strict_text *id = header_of(wanted, "X-Request-Id"),
                             *alias = header_of(wanted, "X-Correlation-Id");
    if (is_request_id(id) || is_request_id(alias))
        HOLDS(is_text(is_request_id(id) ? id : alias, s->request_id));
    else
        HOLDS(strlen(s->request_id) == UUID_TEXT_SIZE - 1);
    HOLDS(trace_valid(s->traceparent) && strlen(s->traceparent) == TRACEPARENT_SIZE - 1);
    free(path);
}

/* Goes through the answers, and the requests they must be for. libmicrohttpd is too patient with chunks: then
 * the request must have been the last. */
static void check_answers(struct strict_text answers, struct strict_text input) {
    static struct strict_request wanted;
    size_t looked = 0;
    bool ours, first = true, open = true;
    enum strict_result result = strict_read(&input, &wanted);
    int status;
    while ((status = next_answer(&answers, is_head(&wanted), &ours)) != 0 && ours) {
        HOLDS(open); /* nothing is answered behind what is not clear */
        open = status != 400 && result == STRICT_CLEAR && !wanted.chunked;
        HOLDS(result == STRICT_CLEAR || status == 400 || status == 413 || status == 415 ||
              (wanted.chunked && result != STRICT_BAD_HEAD));
        HOLDS((status != 413 && status != 415) || result != STRICT_BAD_HEAD);
        if (status == 204) {
            HOLDS(looked < seen_count);
            check_head(&seen[looked], &wanted);
            if (result == STRICT_CLEAR)
                check_body(&seen[looked].body, &wanted);
            looked++;
        }
        first = false;
        result = strict_read(&input, &wanted);
    }
    /* What is clear is answered, unless it expects to be told to go on, but has nothing to go on with. */
    bool expecting = header_of(&wanted, "Expect");
    HOLDS(status || !first || result != STRICT_CLEAR || expecting);
    /* An answer is lost with that, or when chunks are not clear and the client is gone. */
    bool lost = expecting || (wanted.chunked && result != STRICT_CLEAR && result != STRICT_BAD_HEAD);
    HOLDS(looked == seen_count || (lost && looked + 1 == seen_count));
}

static void forget(void) {
    while (seen_count > 0) {
        struct seen *s = &seen[--seen_count];
        free(s->method);
        free(s->path);
        free(s->probe);
        free(s->argument);
        buf_free(&s->body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct http_server *server;
    if (!server)
        server = start();
    HOLDS(server);
    if (size > INPUT_LIMIT)
        return 0;
    struct buf answers = {0};
    struct strict_text input = {(const char *)data, size};
    buf_str(&answers, "");
    talk(server, input, &answers);
    check_answers((struct strict_text){answers.data, answers.len}, input);
    forget();
    buf_free(&answers);
    return 0;
}
