/* Several calls at once, against a server that answers none of them before all have come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/queue/credentials.h"
#include "common/queue/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakes/loopback.h"
#include "fakes/rows.h"

enum { MAX_CONNECTIONS = 64, MOST = 8 };

struct server {
    int fd;
    char endpoint[64];
    pthread_t thread, connections[MAX_CONNECTIONS];
    atomic_size_t connection_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t at_once; /* so many calls must be in flight before the first is answered */
    size_t waiting; /* of them have come */
    size_t rounds;  /* were complete */
    size_t sends;   /* all */
    size_t ensures; /* GetQueueUrl of the queue itself */
    bool lost;      /* the queue, until it is ensured */
    bool closed;    /* the client is, or will be */
    struct queue_options options;
    struct queue *client;
};

struct connection {
    struct server *server;
    int fd;
};

/* Reads one request; false when the client has gone. Requests of these tests fit the buffer. */
static bool read_request(int fd, char text[static 8192]) {
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, text + len, 8191 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *size = strstr(text, "Content-Length: ");
        if (end && size && len >= (size_t)(end + 4 - text) + strtoul(size + 16, NULL, 10))
            return true;
    }
}

static void answer(int fd, int status, const char *body) {
    char text[1024];
    int len =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d Status\r\nDate: Tue, 01 Jan 2030 12:00:00 GMT\r\nContent-Length: %zu\r\n\r\n%s",
                 status, strlen(body), body);
    (void)!send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

/* The first one that comes waits for the others. */
static void await_others(struct server *s) {
    pthread_mutex_lock(&s->lock);
    s->sends++;
    size_t round = s->rounds;
    if (++s->waiting == s->at_once) {
        s->waiting = 0;
        s->rounds++;
        pthread_cond_broadcast(&s->changed);
    }
    while (s->rounds == round)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* The body of the message tells what becomes of the call. False: nothing ever. */
static bool answer_send(struct server *s, int fd, const char *request) {
    await_others(s);
    if (strstr(request, "\"hang\""))
        return false;
    if (strstr(request, "\"cut\""))
        shutdown(fd, SHUT_RDWR);
    else if (strstr(request, "Authorization: ") && !strstr(request, "X-Amz-Date: 20300101"))
        answer(fd, 403, "{\"__type\":\"SignatureDoesNotMatch\"}");
    else if (strstr(request, "\"away\""))
        answer(fd, 503, "{}");
    else if (strstr(request, "\"throttled\""))
        answer(fd, 400, "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}");
    else if (strstr(request, "\"refused\""))
        answer(fd, 400, "{\"__type\":\"InvalidAddress\"}");
    else if (s->lost)
        answer(fd, 400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}");
    else if (strstr(request, "\"half\""))
        answer(fd, 200,
               "{\"Successful\":[{\"Id\":\"0\"}],"
               "\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"InvalidMessageContents\"}]}");
    else
        answer(fd, 200, "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"}]}");
    return true;
}

static void answer_other(struct server *s, int fd, const char *request) {
    if (strstr(request, "GetQueueUrl")) {
        bool itself = strstr(request, "\"q.fifo\"");
        s->ensures += itself;
        s->lost &= !itself;
        answer(fd, 200,
               itself ? "{\"QueueUrl\":\"http://h/0/q.fifo\"}" : "{\"QueueUrl\":\"http://h/0/d.fifo\"}");
    } else {
        answer(fd, 200,
               "{\"Attributes\":{\"QueueArn\":\"arn:d\",\"FifoQueue\":\"true\",\"RedrivePolicy\":"
               "\"{\\\"deadLetterTargetArn\\\":\\\"arn:d\\\",\\\"maxReceiveCount\\\":9}\"}}");
    }
}

static void interrupt(struct server *s) {
    pthread_mutex_lock(&s->lock);
    if (!s->closed)
        queue_interrupt(s->client);
    pthread_mutex_unlock(&s->lock);
}

static void *serve_connection(void *cls) {
    struct connection *c = cls;
    char request[8192];
    while (read_request(c->fd, request)) {
        if (!strstr(request, "SendMessageBatch"))
            answer_other(c->server, c->fd, request);
        else if (!answer_send(c->server, c->fd, request))
            interrupt(c->server);
    }
    close(c->fd);
    free(c);
    return NULL;
}

static void *serve(void *cls) {
    struct server *s = cls;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct connection *c = malloc(sizeof *c);
        *c = (struct connection){s, fd};
        if (s->connection_count == MAX_CONNECTIONS ||
            pthread_create(&s->connections[s->connection_count], NULL, serve_connection, c) != 0)
            abort();
        s->connection_count++;
    }
    return NULL;
}

static void start_server(struct server *s, struct breaker *breaker, struct credential_chain *credentials) {
    int port;
    *s = (struct server){
        .fd = loopback_socket(&port), .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    assert_int_equal(listen(s->fd, MAX_CONNECTIONS), 0);
    snprintf(s->endpoint, sizeof s->endpoint, "http://127.0.0.1:%d", port);
    s->options = (struct queue_options){.endpoint = s->endpoint,
                                        .region = "us-east-1",
                                        .credentials = credentials,
                                        .name = "q.fifo",
                                        .dead_letter_name = "d.fifo",
                                        .calls = MOST,
                                        .max_receive_count = 9,
                                        .visibility_timeout_s = 30,
                                        .breaker = breaker};
    s->client = queue_open(&s->options);
    assert_non_null(s->client);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop_server(struct server *s) {
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    pthread_mutex_unlock(&s->lock);
    queue_close(s->client);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->connection_count; i++)
        pthread_join(s->connections[i], NULL);
    close(s->fd);
}

/* Two messages a call. */
struct round {
    struct queue_entry entries[MOST][2];
    struct queue_call calls[MOST];
    size_t n;
};

/* A call for each of the fates. of_them must come together. Returns how many were made. */
static size_t send_round(struct server *s, struct round *r, const char *const fates[], size_t of_them) {
    for (r->n = 0; r->n < MOST && fates[r->n]; r->n++) {
        for (size_t i = 0; i < 2; i++)
            r->entries[r->n][i] =
                (struct queue_entry){.body = fates[r->n], .group_id = "g", .deduplication_id = "d"};
        r->calls[r->n] = (struct queue_call){.entries = r->entries[r->n], .n = 2};
    }
    s->at_once = of_them;
    return queue_send(s->client, r->calls, r->n);
}

static void calls_are_in_flight_together(void **state) {
    (void)state;
    struct server s;
    struct round r;
    start_server(&s, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"a", "b", "c", "d"}, 4), 4);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(r.calls[k].status, QUEUE_OK);
            assert_string_equal(r.calls[k].error, "");
            assert_true(r.entries[k][0].accepted && r.entries[k][1].accepted);
            assert_true(r.calls[k].took_ns > 0);
        }
        assert_string_equal(queue_error(s.client), "");
    }
    stop_server(&s);
    assert_int_equal(s.rounds, 3);
    assert_int_equal(s.connection_count, 4); /* they are kept */
}

static const struct {
    const char *fate;
    enum queue_status status;
    const char *words;
    bool accepted[2], refused[2];
} outcomes[] = {
    {"ok", QUEUE_OK, "", {true, true}, {false, false}},
    {"away", QUEUE_UNAVAILABLE, "HTTP 503", {false, false}, {false, false}},
    {"half", QUEUE_OK, "InvalidMessageContents", {true, false}, {false, true}},
    {"refused", QUEUE_REFUSED, "InvalidAddress", {false, false}, {false, false}},
    {"throttled", QUEUE_UNAVAILABLE, "RequestThrottled", {false, false}, {false, false}},
    {"also ok", QUEUE_OK, "", {true, true}, {false, false}},
};

static void each_call_has_an_outcome_of_its_own(void **state) {
    (void)state;
    enum { N = sizeof outcomes / sizeof *outcomes };
    const char *fates[MOST] = {0};
    struct server s;
    struct round r;
    for (size_t i = 0; i < N; i++)
        fates[i] = outcomes[i].fate;
    start_server(&s, NULL, NULL);
    assert_int_equal(send_round(&s, &r, fates, N), N);
    assert_non_null(strstr(queue_error(s.client), "HTTP 503")); /* the first that failed */
    for_each_row(i, outcomes, "%s", outcomes[i].fate) {
        assert_int_equal(r.calls[i].status, outcomes[i].status);
        assert_non_null(strstr(r.calls[i].error, outcomes[i].words));
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(r.entries[i][k].accepted, outcomes[i].accepted[k]);
            assert_int_equal(r.entries[i][k].refused, outcomes[i].refused[k]);
        }
    }
    stop_server(&s);
}

static void a_lost_queue_is_made_anew_once_for_all(void **state) {
    (void)state;
    struct server s;
    struct round r;
    start_server(&s, NULL, NULL);
    assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"a"}, 1), 1);
    s.lost = true;
    assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"a", "b", "c"}, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(r.calls[i].status, QUEUE_OK);
        assert_true(r.entries[i][0].accepted && r.entries[i][1].accepted);
    }
    stop_server(&s);
    assert_int_equal(s.ensures, 2);
    assert_int_equal(s.sends, 1 + 3 + 3);
}

static void a_breaker_that_tries_lets_the_first_through(void **state) {
    (void)state;
    struct breaker breaker = BREAKER_INIT;
    struct server s;
    struct round r;
    const char *const fates[MOST] = {"a", "b", "c", "d", "e"};
    start_server(&s, &breaker, NULL);
    assert_int_equal(queue_ensure(s.client), QUEUE_OK);
    breaker_trip(&breaker, clock_mono_ms());
    assert_int_equal(send_round(&s, &r, fates, 5), 1);
    assert_int_equal(r.calls[0].status, QUEUE_UNAVAILABLE);
    assert_non_null(strstr(queue_error(s.client), "circuit breaker is open"));
    assert_int_equal(s.sends, 0);

    breaker.next_ms = clock_mono_ms(); /* it tries now */
    assert_int_equal(send_round(&s, &r, fates, 3), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.calls[i].status, QUEUE_OK);
    assert_int_equal(send_round(&s, &r, fates, 5), 5); /* it is closed */
    stop_server(&s);
    assert_int_equal(s.sends, 8);
}

static void failures_at_once_open_the_breaker(void **state) {
    (void)state;
    struct breaker breaker = BREAKER_INIT;
    struct server s;
    struct round r;
    const char *const fates[MOST] = {"away", "away", "away", "away", "away"};
    start_server(&s, &breaker, NULL);
    assert_int_equal(queue_ensure(s.client), QUEUE_OK); /* four that succeed */
    assert_int_equal(send_round(&s, &r, fates, 5), 5);
    assert_false(breaker_is_open(&breaker, clock_mono_ms())); /* nine are not enough */
    assert_int_equal(send_round(&s, &r, fates, 5), 5);
    assert_true(breaker_is_open(&breaker, clock_mono_ms()));
    stop_server(&s);
}

static void an_interrupt_ends_those_that_have_no_answer(void **state) {
    (void)state;
    struct server s;
    struct round r;
    start_server(&s, NULL, NULL);
    assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"away", "hang", "hang"}, 3), 3);
    assert_int_equal(r.calls[1].status, QUEUE_INTERRUPTED);
    assert_int_equal(r.calls[2].status, QUEUE_INTERRUPTED);
    assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"a", "b"}, 2), 2);
    assert_int_equal(r.calls[0].status, QUEUE_INTERRUPTED);
    assert_int_equal(r.calls[1].status, QUEUE_INTERRUPTED);
    stop_server(&s);
    assert_int_equal(s.sends, 3);
}

static void a_wrong_clock_is_found_out_for_all(void **state) {
    (void)state;
    const struct credential_options options = {.key = {.text = "key"},
                                               .secret = {.text = "secret"},
                                               .token = {.text = ""},
                                               .region = "",
                                               .role_arn = "",
                                               .token_file = "",
                                               .session_name = "",
                                               .sts_endpoint = "",
                                               .shared_file = "",
                                               .profile = "",
                                               .container_url = "",
                                               .container_path = "",
                                               .metadata_endpoint = ""};
    struct credential_chain *chain = credentials_open(&options);
    struct server s;
    struct round r;
    start_server(&s, NULL, chain);
    assert_int_equal(send_round(&s, &r, (const char *const[MOST]){"a", "b", "c"}, 3), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.calls[i].status, QUEUE_OK);
    stop_server(&s);
    assert_int_equal(s.sends, 6); /* each was made twice */
    credentials_close(chain);
}

static int setup(void **state) {
    (void)state;
    return queue_global_setup() ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    queue_global_cleanup();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_in_flight_together),
        cmocka_unit_test(each_call_has_an_outcome_of_its_own),
        cmocka_unit_test(a_lost_queue_is_made_anew_once_for_all),
        cmocka_unit_test(a_breaker_that_tries_lets_the_first_through),
        cmocka_unit_test(failures_at_once_open_the_breaker),
        cmocka_unit_test(an_interrupt_ends_those_that_have_no_answer),
        cmocka_unit_test(a_wrong_clock_is_found_out_for_all),
    };
    return cmocka_run_group_tests_name("send", tests, setup, teardown);
}
