/* The calls in progress: libcurl handles that one thread drives. */
#include "common/callout/callout.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/http/address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CONNECT_MS = 10000,
    MAX_HEADERS = 65536,
    MAX_RETRY_AFTER_S = 21600, /* a new libcurl tells no more, an old one does */
};

struct call {
    struct callout *callout;
    CURL *easy; /* kept for the next call */
    struct curl_slist *headers;
    void *cls;
    int64_t began_ms;
    bool running;
    size_t body_len, header_len;     /* of the answer, as far as it was read */
    char refused[ADDRESS_TEXT_SIZE]; /* an address that the policy does not allow; "": none */
    char why[CURL_ERROR_SIZE];
    char excerpt[CALLOUT_EXCERPT_SIZE];
};

struct callout {
    struct callout_options options;
    CURLM *multi;
    struct call *calls; /* options.parallel */
    int running;        /* of them */
};

/* The only place where a connection begins: libcurl has resolved the name, and asks for a socket to this address. */
static curl_socket_t guard_socket(void *cls, curlsocktype purpose, struct curl_sockaddr *to) {
    (void)purpose;
    struct call *call = cls;
    if (callout_allows(&call->callout->options.policy, &to->addr))
        return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    struct address address = address_of_socket(&to->addr);
    address_format(&address, call->refused);
    return CURL_SOCKET_BAD;
}

static size_t take_header(char *data, size_t size, size_t n, void *cls) {
    (void)data;
    struct call *call = cls;
    call->header_len += size * n;
    return call->header_len <= MAX_HEADERS ? size * n : 0;
}

/* What others send is shown as printable ASCII. */
static void make_plain(char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '.';
}

/* Keeps the beginning. Reading ends at CALLOUT_MAX_BODY, which is not a failure. */
static size_t take_body(char *data, size_t size, size_t n, void *cls) {
    struct call *call = cls;
    size_t len = size * n;
    if (call->body_len < sizeof call->excerpt - 1) {
        size_t room = sizeof call->excerpt - 1 - call->body_len;
        memcpy(call->excerpt + call->body_len, data, len < room ? len : room);
    }
    call->body_len += len;
    return call->body_len <= CALLOUT_MAX_BODY ? len : 0;
}

static bool set_call_options(struct call *call, const struct callout_options *o) {
    CURL *easy = call->easy;
    unsigned bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, o->policy.https_only ? "https" : "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "order-processing/" SERVICE_VERSION);
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)(o->timeout_ms < CONNECT_MS ? o->timeout_ms : CONNECT_MS));
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    if (o->ca_file && *o->ca_file)
        bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, guard_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A call that is given up while its name is being resolved does not wait for the resolver. */
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return bad == 0;
}

static bool open_calls(struct callout *c) {
    for (size_t i = 0; i < c->options.parallel; i++) {
        struct call *call = &c->calls[i];
        call->callout = c;
        call->easy = curl_easy_init();
        if (!call->easy || !set_call_options(call, &c->options))
            return false;
    }
    long keep = (long)c->options.parallel;
    return curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, keep) == CURLM_OK &&
           curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, keep) == CURLM_OK;
}

struct callout *callout_open(const struct callout_options *options) {
    struct callout *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->options = *options;
    c->multi = curl_multi_init();
    c->calls = calloc(options->parallel, sizeof *c->calls);
    if (c->multi && c->calls && open_calls(c))
        return c;
    callout_close(c);
    return NULL;
}

static void end_call(struct callout *c, struct call *call) {
    c->running -= call->running;
    curl_multi_remove_handle(c->multi, call->easy);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(call->headers);
    call->headers = NULL;
    call->running = false;
}

void callout_close(struct callout *c) {
    if (!c)
        return;
    for (size_t i = 0; c->calls && i < c->options.parallel; i++) {
        if (c->calls[i].running)
            end_call(c, &c->calls[i]);
        curl_easy_cleanup(c->calls[i].easy);
    }
    curl_multi_cleanup(c->multi);
    free(c->calls);
    free(c);
}

static struct call *free_call(struct callout *c) {
    for (size_t i = 0; i < c->options.parallel; i++)
        if (!c->calls[i].running)
            return &c->calls[i];
    return NULL;
}

static bool callout_add_headers(struct call *call, const char *const *lines) {
    for (; *lines; lines++) {
        struct curl_slist *longer = curl_slist_append(call->headers, *lines);
        if (!longer)
            return false;
        call->headers = longer;
    }
    return true;
}

bool callout_start(struct callout *c, const struct callout_call *what) {
    struct call *call = free_call(c);
    if (!call)
        return false;
    unsigned bad = !callout_add_headers(call, what->headers);
    bad |= curl_easy_setopt(call->easy, CURLOPT_URL, what->url);
    bad |= curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    bad |= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)what->len);
    bad |= curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, what->body);
    call->cls = what->cls;
    call->began_ms = clock_mono_ms();
    call->body_len = call->header_len = 0;
    call->refused[0] = call->why[0] = '\0';
    memset(call->excerpt, 0, sizeof call->excerpt);
    call->running = !bad && curl_multi_add_handle(c->multi, call->easy) == CURLM_OK;
    if (!call->running)
        end_call(c, call);
    c->running += call->running;
    return call->running;
}

void callout_wait(struct callout *c, int timeout_ms) {
    int left;
    if (curl_multi_perform(c->multi, &left) != CURLM_OK || left < c->running)
        return; /* an answer is there */
    (void)curl_multi_poll(c->multi, NULL, 0, timeout_ms, NULL);
    (void)curl_multi_perform(c->multi, &left);
}

static void read_call_answer(struct call *call, CURLcode result, struct callout_answer *answer) {
    long status = 0;
    curl_off_t retry_s = 0;
    *answer = (struct callout_answer){.cls = call->cls, .took_ms = clock_mono_ms() - call->began_ms};
    bool cut = result == CURLE_WRITE_ERROR && call->body_len > CALLOUT_MAX_BODY; /* we did that */
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    memcpy(answer->excerpt, call->excerpt, sizeof answer->excerpt);
    size_t excerpt_len = sizeof answer->excerpt - 1;
    make_plain(answer->excerpt, call->body_len < excerpt_len ? call->body_len : excerpt_len);
    if (result == CURLE_OK || cut) {
        answer->status = (int)status;
        if (curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK && retry_s > 0)
            answer->retry_after_ms = (retry_s < MAX_RETRY_AFTER_S ? retry_s : MAX_RETRY_AFTER_S) * 1000;
    } else if (call->refused[0]) {
        snprintf(answer->error, sizeof answer->error, "the host has an address that may not be called: %s",
                 call->refused);
    } else {
        snprintf(answer->error, sizeof answer->error, "%s",
                 call->why[0] ? call->why : curl_easy_strerror(result));
        make_plain(answer->error, strlen(answer->error));
    }
}

bool callout_next(struct callout *c, struct callout_answer *answer) {
    int left;
    for (const CURLMsg *done; (done = curl_multi_info_read(c->multi, &left)) != NULL;) {
        struct call *call;
        if (done->msg != CURLMSG_DONE)
            continue;
        CURLcode result = done->data.result;
        curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        read_call_answer(call, result, answer);
        end_call(c, call);
        return true;
    }
    return false;
}

void callout_wake(struct callout *c) {
    curl_multi_wakeup(c->multi);
}
