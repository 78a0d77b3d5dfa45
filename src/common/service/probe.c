/* Asking a daemon on this machine how it is. */
#include "probe.h"

#include "common/base/json.h"
#include "common/config/config.h"
#include "common/http/address.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    LIMIT_MS = 2000, /* below the 3 s that container platforms usually give a check */
    MAX_ANSWER = 4096,
};

static size_t take_probe_answer(char *data, size_t size, size_t n, void *cls) {
    struct buf *answer = cls;
    if (answer->len + n > MAX_ANSWER)
        return 0;
    buf_append(answer, data, size * n); /* size is always 1 */
    return n;
}

/* Where a daemon that listens on this address can be reached: one that listens on all, on the loopback interface. The
 * rules have checked the address. */
static void append_host(const char *bind_address, struct buf *url) {
    struct sockaddr_storage address;
    bool dual;
    if (!address_to_listen(bind_address, 0, &address, &dual)) {
        url->failed = true;
        return;
    }
    if (address.ss_family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
        buf_str(url, v4->sin_addr.s_addr == INADDR_ANY ? "127.0.0.1" : bind_address);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
        buf_printf(url, "[%s]", IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ? "::1" : bind_address);
    }
}

static int port_of(const struct config *config) {
    return (int)(config->service == CONFIG_ORDER_PROBE ? config->order_port : config->delivery_port);
}

/* The certificate is not verified: its name is that of the service, not that of the loopback interface, and whoever
 * answers there instead of the daemon has its port. */
static bool set_probe_options(CURL *easy, const struct buf *url, struct buf *answer, char *why) {
    unsigned bad = url->failed;
    bad |= curl_easy_setopt(easy, CURLOPT_URL, url->data);
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "order-processing/" SERVICE_VERSION);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)LIMIT_MS);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_probe_answer);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    return bad == 0;
}

/* Prints what the daemon says of itself, such as "not ready: migrations". */
static void print_answer(const char *path, long status, const struct buf *answer) {
    char error[JSON_ERROR_SIZE];
    json_t *body = answer->data ? json_parse_object(answer->data, answer->len, error) : NULL;
    const char *state = json_member_string(body, "status"), *reason = json_member_string(body, "reason");
    bool plain = state && json_text_plain(state, 64) && (!reason || json_text_plain(reason, 64));
    if (plain && status == 200)
        printf("%s\n", state);
    else if (plain && reason)
        fprintf(stderr, "%s: %s\n", state, reason);
    else
        fprintf(stderr, "GET %s was answered with %ld\n", path, status);
    json_decref(body);
}

static int ask(CURL *easy, const char *path, const struct buf *url, struct buf *answer) {
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (set_probe_options(easy, url, answer, why))
        result = curl_easy_perform(easy);
    if (result != CURLE_OK) {
        fprintf(stderr, "no answer from %s: %s\n", url->data ? url->data : path,
                *why ? why : curl_easy_strerror(result));
        return 1;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    print_answer(path, status, answer);
    return status == 200 ? 0 : 1;
}

int probe_daemon(const struct config *config, const char *path) {
    if (port_of(config) == 0) {
        fputs("the port is 0, so the daemon has picked one that this check does not know\n", stderr);
        return 1;
    }
    struct buf url = {0}, answer = {0};
    buf_printf(&url, "%s://", *config->tls_cert_file ? "https" : "http");
    append_host(config->bind_address, &url);
    buf_printf(&url, ":%d%s", port_of(config), path);
    json_setup();
    CURL *easy = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    int code = 1;
    if (easy)
        code = ask(easy, path, &url, &answer);
    else
        fputs("cannot initialize libcurl\n", stderr);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    buf_free(&url);
    buf_free(&answer);
    return code;
}
