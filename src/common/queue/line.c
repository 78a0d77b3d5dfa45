/* The HTTP of one call: its request, signed when there are credentials, and its answer. */
#include "line.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/queue/credentials.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    CONNECT_MS = 2000,
    MAX_ANSWER = 24 * 1024 * 1024, /* ten messages of 1 MiB, the maximum of SQS, with every byte escaped */
};

_Static_assert(LINE_WHY_SIZE >= CURL_ERROR_SIZE, "libcurl writes so much");

static size_t take_answer(char *data, size_t size, size_t n, void *cls) {
    struct line *line = cls;
    if (n > MAX_ANSWER - line->text.len)
        return 0;
    buf_append(&line->text, data, size * n); /* size is always 1 */
    return line->text.failed ? 0 : n;
}

bool line_open(struct line *line, const struct queue_options *options) {
    line->options = options;
    line->easy = curl_easy_init();
    if (!line->easy)
        return false;
    unsigned bad = 0;
    bad |= curl_easy_setopt(line->easy, CURLOPT_URL, options->endpoint);
    bad |= curl_easy_setopt(line->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(line->easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(line->easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(line->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    bad |= curl_easy_setopt(line->easy, CURLOPT_WRITEFUNCTION, take_answer);
    bad |= curl_easy_setopt(line->easy, CURLOPT_WRITEDATA, line);
    bad |= curl_easy_setopt(line->easy, CURLOPT_PRIVATE, line);
    bad |= curl_easy_setopt(line->easy, CURLOPT_ERRORBUFFER, line->why);
    return bad == 0;
}

void line_close(struct line *line) {
    curl_easy_cleanup(line->easy);
    curl_slist_free_all(line->headers);
    buf_free(&line->text);
}

static bool sign(struct line *line, const struct credential *credential) {
    char method[128];
    line->is_signed = *credential->key;
    if (!line->is_signed)
        return true;
    snprintf(method, sizeof method, "aws:amz:%s:sqs", line->options->region);
    unsigned bad = 0;
    bad |= curl_easy_setopt(line->easy, CURLOPT_AWS_SIGV4, method);
    bad |= curl_easy_setopt(line->easy, CURLOPT_USERNAME, credential->key);
    bad |= curl_easy_setopt(line->easy, CURLOPT_PASSWORD, credential->secret);
    return bad == 0;
}

static bool line_add_header(struct curl_slist **list, const char *name, const char *value) {
    struct buf text = {0};
    buf_printf(&text, "%s%s", name, value);
    struct curl_slist *longer = text.failed ? NULL : curl_slist_append(*list, text.data);
    buf_free(&text);
    if (longer)
        *list = longer;
    return longer;
}

/* Where the clock of the machine is right, libcurl dates the request. */
static bool add_date(struct line *line, struct curl_slist **headers) {
    char text[32];
    line->skew_ms = credentials_skew_ms(line->options->credentials);
    time_t now = (time_t)((clock_epoch_ms() + line->skew_ms) / 1000);
    struct tm date;
    if (!line->skew_ms)
        return true;
    return gmtime_r(&now, &date) && strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &date) &&
           line_add_header(headers, "X-Amz-Date: ", text);
}

static bool make_headers(struct line *line, const struct credential *credential) {
    struct curl_slist *headers = NULL;
    const char *token = credential->token;
    bool whole = line_add_header(&headers, "Content-Type: ", "application/x-amz-json-1.0") &&
                 line_add_header(&headers, "X-Amz-Target: AmazonSQS.", line->action) &&
                 (!*credential->key || add_date(line, &headers)) &&
                 (!*token || line_add_header(&headers, "X-Amz-Security-Token: ", token));
    curl_slist_free_all(line->headers);
    line->headers = headers;
    return whole && curl_easy_setopt(line->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

/* Credentials are replaced while we run, so each call uses those of its moment. */
static bool credential_of_now(struct line *line, struct credential *out) {
    char reason[CREDENTIAL_WHY_SIZE];
    *out = (struct credential){0};
    if (!line->options->credentials || credentials_now(line->options->credentials, out, reason))
        return true;
    snprintf(line->why, sizeof line->why, "no AWS credentials: %.200s", reason);
    return false;
}

bool line_prepare(struct line *line) {
    struct credential credential;
    line->why[0] = '\0';
    buf_clear(&line->text);
    if (!credential_of_now(line, &credential)) {
        line_done(line, CURLE_LOGIN_DENIED);
        return false;
    }
    bool ready = !line->body->failed && sign(line, &credential) && make_headers(line, &credential);
    explicit_bzero(&credential, sizeof credential);
    unsigned bad = !ready;
    bad |= curl_easy_setopt(line->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)line->body->len);
    bad |= curl_easy_setopt(line->easy, CURLOPT_POSTFIELDS, line->body->data);
    bad |= curl_easy_setopt(line->easy, CURLOPT_TIMEOUT_MS, (line->wait_s + LINE_ANSWER_S) * 1000L);
    if (bad)
        line_done(line, CURLE_OUT_OF_MEMORY);
    return !bad;
}

void line_done(struct line *line, int result) {
    line->result = result;
    line->ended_ns = clock_mono_ns();
}

static long answer_code(const struct line *line) {
    long code = 0;
    curl_easy_getinfo(line->easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

bool line_is_misdated(const struct line *line) {
    struct curl_header *date;
    long code = answer_code(line);
    if (line->result != CURLE_OK || !line->is_signed || code < 400 || code >= 500 ||
        curl_easy_header(line->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return false;
    time_t seconds = curl_getdate(date->value, NULL);
    struct credential_chain *chain = line->options->credentials;
    return seconds != -1 && (credentials_skew_ms(chain) != line->skew_ms || /* another call has found out */
                             credentials_are_misdated(chain, (int64_t)seconds * 1000));
}

void line_fail(struct line *line, enum queue_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(line->error, sizeof line->error, format, args);
    va_end(args);
    line->status = status;
}

static bool is_throttled(const char *refusal, long code) {
    return code == 429 || strstr(refusal, "Throttl") || strcmp(refusal, "OverLimit") == 0;
}

static void read_refusal(struct line *line, long code) {
    char words[QUEUE_ERROR_SIZE], reason[JSON_ERROR_SIZE];
    json_t *answer = json_parse_object(line->text.data, line->text.len, reason);
    queue_json_read_error(answer, line->refusal, words);
    json_decref(answer);
    bool throttled = is_throttled(line->refusal, code);
    line->well = code < 500 || throttled;
    bool later =
        code >= 500 || code == 403 || throttled; /* 403: our credentials are at fault, not the call */
    line_fail(line, later ? QUEUE_UNAVAILABLE : QUEUE_REFUSED, "%s: HTTP %ld, %.200s", line->action, code,
              words);
}

static void line_read_answer(struct line *line) {
    char reason[JSON_ERROR_SIZE] = "out of memory";
    bool empty = line->text.len == 0; /* of an action that returns nothing */
    line->answer = empty ? json_object() : json_parse_object(line->text.data, line->text.len, reason);
    if (!line->answer)
        line_fail(line, QUEUE_UNAVAILABLE, "%s: invalid response: %s", line->action, reason);
}

void line_judge(struct line *line) {
    line->status = QUEUE_OK;
    line->answer = NULL;
    line->error[0] = line->refusal[0] = '\0';
    line->well = false;
    if (line->result == CURLE_ABORTED_BY_CALLBACK)
        return line_fail(line, QUEUE_INTERRUPTED, "%s: interrupted", line->action);
    if (line->result != CURLE_OK)
        return line_fail(line, QUEUE_UNAVAILABLE, "%s: %s", line->action,
                         *line->why ? line->why : curl_easy_strerror((CURLcode)line->result));
    long code = answer_code(line);
    if (code != 200)
        read_refusal(line, code);
    else
        line_read_answer(line);
}
