/* The SQS client's HTTP: one exchange at a time over libcurl, which another thread may interrupt. */
#include "common/queue/queue.h"

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/queue/credentials.h"
#include "private.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CONNECT_MS = 2000,
    ANSWER_MS = 5000,              /* timeout of a call, besides the seconds it asks the server to wait */
    MAX_ANSWER = 24 * 1024 * 1024, /* ten messages of 1 MiB, the maximum of SQS, with every byte escaped */
};

bool queue_global_setup(void) {
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void queue_global_cleanup(void) {
    curl_global_cleanup();
}

static size_t take_answer(char *data, size_t size, size_t n, void *cls) {
    struct queue *q = cls;
    if (n > MAX_ANSWER - q->answer.len)
        return 0;
    buf_append(&q->answer, data, size * n); /* size is always 1 */
    return q->answer.failed ? 0 : n;
}

static bool set_options(struct queue *q) {
    const struct queue_options *o = &q->options;
    unsigned bad = 0;
    bad |= curl_easy_setopt(q->easy, CURLOPT_URL, o->endpoint);
    bad |= curl_easy_setopt(q->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(q->easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(q->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    bad |= curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, take_answer);
    bad |= curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
    return bad == 0;
}

static bool sign(struct queue *q, const struct credential *credential) {
    char method[128];
    if (!*credential->key)
        return true;
    snprintf(method, sizeof method, "aws:amz:%s:sqs", q->options.region);
    unsigned bad = 0;
    bad |= curl_easy_setopt(q->easy, CURLOPT_AWS_SIGV4, method);
    bad |= curl_easy_setopt(q->easy, CURLOPT_USERNAME, credential->key);
    bad |= curl_easy_setopt(q->easy, CURLOPT_PASSWORD, credential->secret);
    return bad == 0;
}

struct queue *queue_open(const struct queue_options *options) {
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->options = *options;
    q->sent = metric_series(METRIC_QUEUE_SENT, METRIC_LABELS(options->name));
    q->consumed = metric_series(METRIC_QUEUE_CONSUMED, METRIC_LABELS(options->name));
    q->urls = calloc(queue_shard_count(q), sizeof *q->urls);
    q->multi = curl_multi_init();
    q->easy = curl_easy_init();
    if (q->urls && q->multi && q->easy && set_options(q))
        return q;
    queue_close(q);
    return NULL;
}

void queue_close(struct queue *q) {
    if (!q)
        return;
    curl_easy_cleanup(q->easy);
    curl_multi_cleanup(q->multi);
    buf_free(&q->answer);
    free(q->urls);
    free(q);
}

void queue_interrupt(struct queue *q) {
    atomic_store(&q->interrupted, true);
    curl_multi_wakeup(q->multi);
}

const char *queue_error(const struct queue *q) {
    return q->error;
}

enum queue_status queue_fail(struct queue *q, enum queue_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(q->error, sizeof q->error, format, args);
    va_end(args);
    return status;
}

static bool exchange_add_header(struct curl_slist **list, const char *name, const char *value) {
    struct buf line = {0};
    buf_printf(&line, "%s%s", name, value);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(*list, line.data);
    buf_free(&line);
    if (longer)
        *list = longer;
    return longer;
}

/* Drives the transfer. A multi handle lets queue_interrupt end the wait. */
static CURLcode transfer(struct queue *q) {
    if (curl_multi_add_handle(q->multi, q->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    CURLMcode fault = CURLM_OK;
    int running = 1;
    while (fault == CURLM_OK && !atomic_load(&q->interrupted)) {
        fault = curl_multi_perform(q->multi, &running);
        if (fault != CURLM_OK || !running)
            break;
        fault = curl_multi_poll(q->multi, NULL, 0, ANSWER_MS, NULL);
    }
    int left;
    const CURLMsg *done = running ? NULL : curl_multi_info_read(q->multi, &left);
    if (done)
        result = done->data.result;
    else if (fault != CURLM_OK)
        result = CURLE_OUT_OF_MEMORY;
    curl_multi_remove_handle(q->multi, q->easy);
    return result;
}

/* Where the clock of the machine is right, libcurl dates the request. */
static bool add_date(struct curl_slist **headers, const struct credential_chain *chain) {
    char text[32];
    int64_t skew_ms = credentials_skew_ms(chain);
    time_t now = (time_t)((clock_epoch_ms() + skew_ms) / 1000);
    struct tm date;
    if (!skew_ms)
        return true;
    return gmtime_r(&now, &date) && strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &date) &&
           exchange_add_header(headers, "X-Amz-Date: ", text);
}

static struct curl_slist *make_headers(const struct queue *q, const char *action,
                                       const struct credential *credential) {
    struct curl_slist *headers = NULL;
    const char *token = credential->token;
    if (exchange_add_header(&headers, "Content-Type: ", "application/x-amz-json-1.0") &&
        exchange_add_header(&headers, "X-Amz-Target: AmazonSQS.", action) &&
        (!*credential->key || add_date(&headers, q->options.credentials)) &&
        (!*token || exchange_add_header(&headers, "X-Amz-Security-Token: ", token)))
        return headers;
    curl_slist_free_all(headers);
    return NULL;
}

/* Credentials are replaced while we run, so each call uses those of its moment. */
static bool credential_of_now(const struct queue *q, struct credential *out,
                              char why[static CURL_ERROR_SIZE]) {
    char reason[CREDENTIAL_WHY_SIZE];
    *out = (struct credential){0};
    if (!q->options.credentials || credentials_now(q->options.credentials, out, reason))
        return true;
    snprintf(why, CURL_ERROR_SIZE, "no AWS credentials: %.200s", reason);
    return false;
}

/* One HTTP exchange. Leaves the body of the answer in q->answer, or the error message of a failure in why. */
static CURLcode post(struct queue *q, const char *action, const struct buf *body, int wait_s,
                     char why[static CURL_ERROR_SIZE]) {
    struct credential credential;
    if (!credential_of_now(q, &credential, why))
        return CURLE_LOGIN_DENIED;
    struct curl_slist *headers = make_headers(q, action, &credential);
    bool ready = headers && !body->failed && sign(q, &credential);
    q->is_signed = *credential.key;
    explicit_bzero(&credential, sizeof credential);
    if (!ready) {
        curl_slist_free_all(headers);
        return CURLE_OUT_OF_MEMORY;
    }
    unsigned bad = 0;
    bad |= curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, headers);
    bad |= curl_easy_setopt(q->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    bad |= curl_easy_setopt(q->easy, CURLOPT_POSTFIELDS, body->data);
    bad |= curl_easy_setopt(q->easy, CURLOPT_TIMEOUT_MS, wait_s * 1000L + ANSWER_MS);
    bad |= curl_easy_setopt(q->easy, CURLOPT_ERRORBUFFER, why);
    buf_clear(&q->answer);
    CURLcode result = bad ? CURLE_OUT_OF_MEMORY : transfer(q);
    curl_easy_setopt(q->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return result;
}

static long answer_code(const struct queue *q) {
    long code = 0;
    curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* Whether the request was refused because our clock is wrong. */
static bool is_misdated(const struct queue *q) {
    struct curl_header *date;
    long code = answer_code(q);
    if (!q->is_signed || code < 400 || code >= 500 ||
        curl_easy_header(q->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return false;
    time_t seconds = curl_getdate(date->value, NULL);
    return seconds != -1 && credentials_are_misdated(q->options.credentials, (int64_t)seconds * 1000);
}

static bool is_throttled(const char *refusal, long code) {
    return code == 429 || strstr(refusal, "Throttl") || strcmp(refusal, "OverLimit") == 0;
}

static enum queue_status refused(struct queue *q, const char *action, long code) {
    char words[QUEUE_ERROR_SIZE], reason[JSON_ERROR_SIZE];
    json_t *answer = json_parse_object(q->answer.data, q->answer.len, reason);
    queue_json_read_error(answer, q->refusal, words);
    json_decref(answer);
    bool throttled = is_throttled(q->refusal, code);
    q->well = code < 500 || throttled;
    bool later =
        code >= 500 || code == 403 || throttled; /* 403: our credentials are at fault, not the call */
    return queue_fail(q, later ? QUEUE_UNAVAILABLE : QUEUE_REFUSED, "%s: HTTP %ld, %.200s", action, code,
                      words);
}

static enum queue_status exchange_once(struct queue *q, const char *action, const struct buf *body,
                                       int wait_s, json_t **answer) {
    char why[CURL_ERROR_SIZE] = "";
    q->error[0] = q->refusal[0] = '\0';
    q->well = false;
    CURLcode result = post(q, action, body, wait_s, why);
    if (result == CURLE_OK && is_misdated(q))
        result = post(q, action, body, wait_s, why);
    if (result == CURLE_ABORTED_BY_CALLBACK)
        return queue_fail(q, QUEUE_INTERRUPTED, "%s: interrupted", action);
    if (result != CURLE_OK)
        return queue_fail(q, QUEUE_UNAVAILABLE, "%s: %s", action, *why ? why : curl_easy_strerror(result));
    long code = answer_code(q);
    if (code != 200)
        return refused(q, action, code);
    char reason[JSON_ERROR_SIZE] = "out of memory";
    bool empty = q->answer.len == 0; /* of an action that returns nothing */
    *answer = empty ? json_object() : json_parse_object(q->answer.data, q->answer.len, reason);
    if (!*answer)
        return queue_fail(q, QUEUE_UNAVAILABLE, "%s: invalid response: %s", action, reason);
    return QUEUE_OK;
}

/* Failures are rare or slow, so they may take a lock. */
static void measure(struct queue *q, const char *action, int64_t began_ns, enum queue_status status) {
    static const char *const error_types[] = {
        [QUEUE_OK] = "", [QUEUE_UNAVAILABLE] = "unavailable", [QUEUE_REFUSED] = "refused"};
    if (status == QUEUE_INTERRUPTED)
        return;
    const char *const values[] = {action, q->options.name, error_types[status]};
    struct metric_series *series = status == QUEUE_OK
                                       ? metric_recall(&q->durations, action, METRIC_QUEUE_DURATION, values)
                                       : metric_series(METRIC_QUEUE_DURATION, values);
    metric_observe(series, clock_mono_ns() - began_ns, NULL);
}

/* A refusal is not an outage. The server works, but asks this caller for less, or does not trust it with this queue.
 * The process's other queues go on. */
enum queue_status queue_exchange(struct queue *q, const char *action, const struct buf *body, int wait_s,
                                 json_t **answer) {
    struct breaker *breaker = q->options.breaker;
    if (breaker && !breaker_allows(breaker, clock_mono_ms()))
        return queue_fail(q, QUEUE_UNAVAILABLE, "%s: circuit breaker is open", action);
    int64_t began_ns = clock_mono_ns();
    enum queue_status status = exchange_once(q, action, body, wait_s, answer);
    measure(q, action, began_ns, status);
    if (status == QUEUE_OK)
        retry_budget_give(&q->budget);
    if (breaker && status != QUEUE_INTERRUPTED)
        (void)breaker_note(breaker, status != QUEUE_UNAVAILABLE || q->well, clock_mono_ms());
    return status;
}
