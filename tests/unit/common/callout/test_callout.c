/* Calls to a receiver on this machine, by names whose addresses this program decides: it defines getaddrinfo, which libcurl
 * uses. So a name can change its address between the check and the use, as an attacker's would. */
#include "common/callout/callout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/http/address.h"
#include "fakes/rows.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* What every name leads to, and how often somebody asked. */
static const char *name_leads_to[2];
static atomic_int resolved;

static struct addrinfo *resolved_address(const char *text, const char *service, int type) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *)(info + 1);
    *in = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)(service ? atoi(service) : 0))};
    assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
    *info = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = type ? type : SOCK_STREAM,
                              .ai_addrlen = sizeof *in,
                              .ai_addr = (struct sockaddr *)in};
    return info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out) {
    (void)node;
    int type = hints ? hints->ai_socktype : 0;
    atomic_fetch_add(&resolved, 1);
    *out = NULL;
    for (int i = 1; i >= 0; i--) {
        if (!name_leads_to[i])
            continue;
        struct addrinfo *first = resolved_address(name_leads_to[i], service, type);
        first->ai_next = *out;
        *out = first;
    }
    return *out ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) {
    while (info) {
        struct addrinfo *next = info->ai_next;
        free(info);
        info = next;
    }
}

/* A receiver on all addresses of this machine, which gives each connection the same answer. */
struct receiver {
    int fd, port;
    const char *answer; /* NULL: none, and the connection stays open */
    size_t repeat;      /* bytes 'x' behind it */
    atomic_int requests;
    char request[4096]; /* the last one, as far as it came at once */
    pthread_t thread;
};

static void *receive(void *arg) {
    struct receiver *r = arg;
    for (int fd; (fd = accept(r->fd, NULL, NULL)) >= 0; close(fd)) {
        ssize_t len = read(fd, r->request, sizeof r->request - 1);
        r->request[len > 0 ? len : 0] = '\0';
        if (len <= 0)
            continue;
        atomic_fetch_add(&r->requests, 1);
        if (!r->answer) {
            char rest[64];
            while (read(fd, rest, sizeof rest) > 0) {
            }
            continue;
        }
        bool open = send(fd, r->answer, strlen(r->answer), MSG_NOSIGNAL) > 0;
        for (size_t i = 0; open && i < r->repeat; i++)
            open = send(fd, "xxxxxxxxxxxxxxxx", 16, MSG_NOSIGNAL) > 0;
    }
    return NULL;
}

static void receiver_start(struct receiver *r, const char *answer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof address;
    memset(r, 0, sizeof *r);
    r->answer = answer;
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(r->fd, 16), 0);
    r->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, receive, r), 0);
}

static void receiver_stop(struct receiver *r) {
    shutdown(r->fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->fd);
}

static struct address_list allowed;

static struct callout *open_callout(const char *networks, int64_t timeout_ms) {
    assert_true(address_list_parse(networks, &allowed));
    struct callout *c = callout_open(
        &(struct callout_options){.policy = {.allowed = &allowed}, .timeout_ms = timeout_ms, .parallel = 2});
    assert_non_null(c);
    return c;
}

/* Posts {} to the receiver under a name, and waits for the answer. */
static struct callout_answer post(struct callout *c, const struct receiver *r) {
    static const char *const headers[] = {"Content-Type: application/json", "webhook-id: 1", NULL};
    char url[64];
    struct callout_answer answer = {0};
    snprintf(url, sizeof url, "http://receiver.test:%d/hook", r->port);
    assert_true(callout_start(
        c, &(struct callout_call){.url = url, .headers = headers, .body = "{}", .len = 2, .cls = c}));
    while (!callout_next(c, &answer))
        callout_wait(c, 1000);
    assert_ptr_equal(answer.cls, c);
    return answer;
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

static void a_call_is_a_post_with_its_headers_and_has_an_answer(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, ANSWER);
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 10000);
    for (int i = 0; i < 3; i++) {
        struct callout_answer answer = post(c, &r);
        assert_string_equal(answer.error, "");
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.excerpt, "{}");
    }
    assert_ptr_equal(strstr(r.request, "POST /hook HTTP/1.1\r\n"), r.request);
    assert_non_null(strstr(r.request, "\r\nwebhook-id: 1\r\n"));
    assert_non_null(strstr(r.request, "\r\n\r\n{}"));
    callout_close(c);
    receiver_stop(&r);
}

/* The name is checked, and leads to an allowed address. Then it leads to this machine. */
static void a_name_that_changes_its_address_is_checked_where_it_is_used(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, ANSWER);
    for (int i = 0; i < 2; i++) {
        name_leads_to[0] = i == 0 ? "127.0.0.2" : "127.0.0.1";
        struct callout *c = open_callout("127.0.0.2", 10000);
        struct callout_answer answer = post(c, &r);
        assert_int_equal(answer.status, i == 0 ? 200 : 0);
        if (i == 1)
            assert_string_equal(answer.error, "the host has an address that may not be called: 127.0.0.1");
        callout_close(c);
    }
    assert_int_equal(r.requests, 1);
    assert_int_equal(atomic_load(&resolved) > 1, 1);
    receiver_stop(&r);
}

static void of_several_addresses_only_the_allowed_ones_are_called(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, ANSWER);
    name_leads_to[0] = "127.0.0.1";
    name_leads_to[1] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 10000);
    assert_int_equal(post(c, &r).status, 200);
    callout_close(c);
    c = open_callout("127.0.0.3", 10000);
    assert_int_equal(post(c, &r).status, 0);
    callout_close(c);
    assert_int_equal(r.requests, 1);
    name_leads_to[1] = NULL;
    receiver_stop(&r);
}

static void a_redirect_is_an_answer_like_others(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n\r\n");
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 10000);
    struct callout_answer answer = post(c, &r);
    assert_int_equal(answer.status, 302);
    callout_close(c);
    receiver_stop(&r);
}

static void a_long_answer_is_cut(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n\xc3\xa4");
    r.repeat = 1000000;
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 60000);
    struct callout_answer answer = post(c, &r);
    assert_int_equal(answer.status, 200);
    assert_int_equal(strlen(answer.excerpt), CALLOUT_EXCERPT_SIZE - 1);
    assert_memory_equal(answer.excerpt, "..xxx", 5);
    callout_close(c);
    receiver_stop(&r);
}

static void headers_have_a_bound(void **state) {
    (void)state;
    static char answer_text[100000];
    size_t len = (size_t)sprintf(answer_text, "HTTP/1.1 200 OK\r\n");
    while (len < 70000)
        len += (size_t)sprintf(answer_text + len, "X-Name: %0900d\r\n", 0);
    sprintf(answer_text + len, "Content-Length: 0\r\n\r\n");
    struct receiver r;
    receiver_start(&r, answer_text);
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 10000);
    struct callout_answer answer = post(c, &r);
    assert_int_equal(answer.status, 0);
    assert_string_not_equal(answer.error, "");
    callout_close(c);
    receiver_stop(&r);
}

static void a_receiver_that_does_not_answer_ends_with_the_timeout(void **state) {
    (void)state;
    struct receiver r;
    receiver_start(&r, NULL);
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 200);
    struct callout_answer answer = post(c, &r);
    assert_int_equal(answer.status, 0);
    assert_true(strstr(answer.error, "timed out") || strstr(answer.error, "Timeout"));
    callout_close(c);
    receiver_stop(&r);
}

static void retry_after_is_told(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int64_t ms;
    } cases[] = {{"120", 120000}, {"0", 0}, {"-5", 0}, {"soon", 0}, {"999999999999", 21600000}};
    for_each_row(i, cases, "%s", cases[i].value) {
        char text[256];
        snprintf(text, sizeof text,
                 "HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 cases[i].value);
        struct receiver r;
        receiver_start(&r, text);
        name_leads_to[0] = "127.0.0.2";
        struct callout *c = open_callout("127.0.0.2", 10000);
        struct callout_answer answer = post(c, &r);
        assert_int_equal(answer.status, 503);
        assert_int_equal(answer.retry_after_ms, cases[i].ms);
        callout_close(c);
        receiver_stop(&r);
    }
}

static void start_call(struct callout *c, const struct receiver *r, void *cls) {
    static const char *const headers[] = {NULL};
    char url[64];
    snprintf(url, sizeof url, "http://receiver.test:%d/hook", r->port);
    assert_true(callout_start(
        c, &(struct callout_call){.url = url, .headers = headers, .body = "{}", .len = 2, .cls = cls}));
}

/* libcurl finds the answer in the first look at its calls. If we waited then, it would be until the other call ends. */
static void a_wait_does_not_outlast_an_answer_that_is_there(void **state) {
    (void)state;
    struct receiver good, silent;
    receiver_start(&good, ANSWER);
    receiver_start(&silent, NULL);
    name_leads_to[0] = "127.0.0.2";
    struct callout *c = open_callout("127.0.0.2", 5000);
    struct callout_answer answer;
    start_call(c, &silent, &silent);
    start_call(c, &good, &good);
    while (atomic_load(&good.requests) == 0 || atomic_load(&silent.requests) == 0)
        callout_wait(c, 1);
    clock_sleep_ms(300); /* its answer comes meanwhile, and libcurl's own timers end */
    callout_wait(c, 3600000);
    assert_true(callout_next(c, &answer));
    assert_ptr_equal(answer.cls, &good);
    assert_false(callout_next(c, &answer));
    callout_close(c);
    receiver_stop(&good);
    receiver_stop(&silent);
}

static void a_wait_ends_with_a_wake(void **state) {
    (void)state;
    struct callout *c = open_callout("", 1000);
    callout_wake(c);
    callout_wait(c, 3600000); /* else the test does not end */
    callout_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_a_post_with_its_headers_and_has_an_answer),
        cmocka_unit_test(a_name_that_changes_its_address_is_checked_where_it_is_used),
        cmocka_unit_test(of_several_addresses_only_the_allowed_ones_are_called),
        cmocka_unit_test(a_redirect_is_an_answer_like_others),
        cmocka_unit_test(a_long_answer_is_cut),
        cmocka_unit_test(headers_have_a_bound),
        cmocka_unit_test(a_receiver_that_does_not_answer_ends_with_the_timeout),
        cmocka_unit_test(retry_after_is_told),
        cmocka_unit_test(a_wait_does_not_outlast_an_answer_that_is_there),
        cmocka_unit_test(a_wait_ends_with_a_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
