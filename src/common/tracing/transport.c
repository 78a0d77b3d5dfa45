/* Sending to the collector: one POST at a time over libcurl, which ends in time when the process stops. */
#include "private.h"

#include "common/base/clock.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_MS = 2000,
    MAX_ANSWER = 65536, /* of a longer one the rest is ignored */
    MAX_RETRY_AFTER_MS = 60000,
};

struct transport {
    CURLM *multi;
    CURL *easy;
    struct secret_source headers;
    struct buf url, answer;
    atomic_llong until_ms; /* see transport_limit */
};

static size_t take_transport_answer(char *data, size_t size, size_t n, void *cls) {
    struct transport *t = cls;
    if (t->answer.len + n <= MAX_ANSWER)
        buf_append(&t->answer, data, size * n); /* size is always 1 */
    return n;
}

static bool set_transport_options(struct transport *t, const struct tracing_options *o) {
    unsigned bad = 0;
    long connect_ms = o->timeout_ms < CONNECT_MS ? (long)o->timeout_ms : CONNECT_MS;
    bad |= curl_easy_setopt(t->easy, CURLOPT_URL, t->url.data);
    bad |= curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "order-processing/" SERVICE_VERSION);
    bad |= curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    bad |= curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    bad |= curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_transport_answer);
    bad |= curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    return bad == 0;
}

struct transport *transport_open(const struct tracing_options *options) {
    struct transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    bool own = options->traces_headers.text && *options->traces_headers.text;
    t->headers = own ? options->traces_headers : options->headers;
    atomic_store(&t->until_ms, INT64_MAX);
    t->multi = curl_multi_init();
    t->easy = curl_easy_init();
    if (t->multi && t->easy && tracing_url(options, &t->url) && set_transport_options(t, options))
        return t;
    transport_close(t);
    return NULL;
}

void transport_close(struct transport *t) {
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    curl_multi_cleanup(t->multi);
    buf_free(&t->url);
    buf_free(&t->answer);
    free(t);
}

void transport_limit(struct transport *t, int64_t until_ms) {
    atomic_store(&t->until_ms, until_ms);
    curl_multi_wakeup(t->multi);
}

static bool add_line(struct curl_slist **list, const char *name, const char *value) {
    struct buf line = {0};
    buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(*list, line.data);
    buf_free(&line);
    if (longer)
        *list = longer;
    return longer;
}

/* The headers of the setting are read anew for each call, since a file may hold them. */
static struct curl_slist *headers_now(const struct transport *t) {
    char secret[SECRET_SIZE];
    const char *list = secret_now(&t->headers, secret);
    struct curl_slist *headers = NULL;
    struct pair pair;
    bool good = add_line(&headers, "Content-Type", "application/x-protobuf");
    while (good && tracing_next_pair(&list, &pair))
        good = add_line(&headers, pair.key, pair.value);
    if (good)
        return headers;
    curl_slist_free_all(headers);
    return NULL;
}

/* Drives the call until it is done, or until the limit. */
static CURLcode drive(struct transport *t) {
    if (curl_multi_add_handle(t->multi, t->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLMcode fault = CURLM_OK;
    int running = 1, left;
    while (fault == CURLM_OK) {
        fault = curl_multi_perform(t->multi, &running);
        int64_t rest_ms = atomic_load(&t->until_ms) - clock_mono_ms();
        if (fault != CURLM_OK || !running || rest_ms <= 0)
            break;
        fault = curl_multi_poll(t->multi, NULL, 0, rest_ms < 1000 ? (int)rest_ms : 1000, NULL);
    }
    const CURLMsg *done = running ? NULL : curl_multi_info_read(t->multi, &left);
    CURLcode result = done ? done->data.result : CURLE_ABORTED_BY_CALLBACK;
    curl_multi_remove_handle(t->multi, t->easy);
    return result;
}

/* The statuses after which the same request may succeed, as OTLP says. */
static bool is_temporary(long code) {
    return code == 429 || code == 502 || code == 503 || code == 504;
}

static enum transport_outcome read_outcome(struct transport *t, struct transport_answer *answer) {
    long code = 0;
    curl_off_t retry_s = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
    if (code / 100 == 2) {
        answer->rejected = response_rejected((const uint8_t *)t->answer.data, t->answer.len);
        return TRANSPORT_SENT;
    }
    snprintf(answer->words, sizeof answer->words, "HTTP %ld", code);
    if (!is_temporary(code))
        return TRANSPORT_REFUSED;
    if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK && retry_s > 0)
        answer->retry_after_ms =
            retry_s < MAX_RETRY_AFTER_MS / 1000 ? (int64_t)retry_s * 1000 : MAX_RETRY_AFTER_MS;
    return TRANSPORT_LATER;
}

enum transport_outcome transport_post(struct transport *t, const struct buf *body,
                                      struct transport_answer *answer) {
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_now(t);
    unsigned bad = !headers || body->failed;
    *answer = (struct transport_answer){.words = "out of memory"};
    bad |= curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body->data);
    bad |= curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, why);
    buf_clear(&t->answer);
    CURLcode result = bad ? CURLE_OUT_OF_MEMORY : drive(t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (result == CURLE_OK)
        return read_outcome(t, answer);
    snprintf(answer->words, sizeof answer->words, "%s", *why ? why : curl_easy_strerror(result));
    return TRANSPORT_LATER;
}
