/* The queue client against a server that answers what the test tells it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/breaker.h"
#include "common/queue/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakes/loopback.h"
#include "fakes/rows.h"

#define HUGE_ANSWER (24 * 1024 * 1024 + 1)

struct reply {
    int status; /* 0: closes without an answer; -1: interrupts the client and never answers */
    const char *body;
};

struct server {
    int fd;
    char endpoint[64];
    pthread_t thread;
    const struct reply *replies; /* in their order; one with no body and status 0 ends them */
    atomic_size_t next;
    struct queue_options options;
    struct queue *client;
    char actions[512]; /* what was asked for first, each followed by a blank */
    atomic_uint connections;
};

static void send_reply(int fd, const struct reply *reply) {
    size_t len = reply->body ? strlen(reply->body) : HUGE_ANSWER;
    char *text = calloc(1, len + 128);
    int head = sprintf(text, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n\r\n", reply->status, len);
    memset(text + head, ' ', len);
    if (reply->body)
        memcpy(text + head, reply->body, len);
    else /* JSON that says nothing, at length */
        text[head] = '{', text[head + HUGE_ANSWER - 1] = '}';
    (void)!send(fd, text, (size_t)head + len, MSG_NOSIGNAL);
    free(text);
}

/* Reads one request; false when the client has gone. Requests of these tests fit the buffer. */
static bool read_request(struct server *s, int fd) {
    char text[4096] = "";
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *size = strstr(text, "Content-Length: ");
        if (end && size && len >= (size_t)(end + 4 - text) + strtoul(size + 16, NULL, 10))
            break;
    }
    const char *action = strstr(text, "X-Amz-Target: AmazonSQS.") + 24;
    size_t used = strlen(s->actions);
    snprintf(s->actions + used, sizeof s->actions - used, "%.*s ", (int)strcspn(action, "\r"), action);
    return true;
}

static void *serve(void *cls) {
    struct server *s = cls;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0; close(fd)) {
        s->connections++;
        while (read_request(s, fd)) {
            const struct reply *reply = &s->replies[s->next++];
            if (reply->status == 0)
                break;
            if (reply->status < 0)
                queue_interrupt(s->client);
            else
                send_reply(fd, reply);
        }
    }
    return NULL;
}

static void start_server(struct server *s, const struct reply replies[]) {
    int port;
    *s = (struct server){.fd = loopback_socket(&port), .replies = replies};
    assert_int_equal(listen(s->fd, 8), 0);
    snprintf(s->endpoint, sizeof s->endpoint, "http://127.0.0.1:%d", port);
    s->options = (struct queue_options){.endpoint = s->endpoint,
                                        .region = "us-east-1",
                                        .name = "q.fifo",
                                        .dead_letter_name = "d.fifo",
                                        .max_receive_count = 3,
                                        .visibility_timeout_s = 30};
    s->client = queue_open(&s->options);
    assert_non_null(s->client);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop_server(struct server *s) {
    queue_close(s->client);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

#define FOUND                                                                                                \
    { 200, "{\"QueueUrl\":\"http://h/0/q.fifo\"}" }
#define MISSING                                                                                              \
    { 400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}" }
#define DEAD_LETTERS                                                                                         \
    { 200, "{\"Attributes\":{\"QueueArn\":\"arn:d\",\"FifoQueue\":\"true\"}}" }
#define QUEUE(redrive)                                                                                       \
    { 200, "{\"Attributes\":{\"QueueArn\":\"arn:q\",\"FifoQueue\":\"true\"" redrive "}}" }
#define REDRIVE(arn)                                                                                         \
    ",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" arn "\\\",\\\"maxReceiveCount\\\":9}\""
#define READY FOUND, DEAD_LETTERS, FOUND, QUEUE(REDRIVE("arn:d"))
#define READY_ACTIONS "GetQueueUrl GetQueueAttributes GetQueueUrl GetQueueAttributes "

static const struct {
    const char *what;
    struct reply replies[8];
    enum queue_status status;
    const char *actions;
    const char *words; /* within queue_error */
} ensure_cases[] = {
    {"both exist", {READY}, QUEUE_OK, READY_ACTIONS, ""},
    {"both are missing",
     {MISSING, FOUND, DEAD_LETTERS, MISSING, FOUND, QUEUE(REDRIVE("arn:d"))},
     QUEUE_OK,
     "GetQueueUrl CreateQueue GetQueueAttributes GetQueueUrl CreateQueue GetQueueAttributes ",
     ""},
    {"no redrive policy yet",
     {FOUND, DEAD_LETTERS, FOUND, QUEUE(""), {200, ""}},
     QUEUE_OK,
     READY_ACTIONS "SetQueueAttributes ",
     ""},
    {"another redrive policy",
     {FOUND, DEAD_LETTERS, FOUND, QUEUE(REDRIVE("arn:x"))},
     QUEUE_REFUSED,
     READY_ACTIONS,
     "q.fifo has dead-letter queue arn:x, expected arn:d"},
    {"not FIFO",
     {FOUND, DEAD_LETTERS, FOUND, {200, "{\"Attributes\":{\"QueueArn\":\"arn:q\"}}"}},
     QUEUE_REFUSED,
     READY_ACTIONS,
     "q.fifo is not a FIFO queue"},
    {"may not create", {MISSING, {403, "{}"}}, QUEUE_UNAVAILABLE, "GetQueueUrl CreateQueue ", "HTTP 403"},
    {"no URL", {{200, "{\"QueueUrl\":7}"}}, QUEUE_UNAVAILABLE, "GetQueueUrl ", "no queue URL"},
};

static void a_queue_is_found_or_made(void **state) {
    (void)state;
    for_each_row(i, ensure_cases, "%s", ensure_cases[i].what) {
        struct server s;
        start_server(&s, ensure_cases[i].replies);
        enum queue_status status = queue_ensure(s.client);
        if (status != ensure_cases[i].status || !strstr(queue_error(s.client), ensure_cases[i].words))
            fail_msg("%s: %d, %s", ensure_cases[i].what, status, queue_error(s.client));
        stop_server(&s);
        assert_string_equal(s.actions, ensure_cases[i].actions);
    }
}

static const struct {
    struct reply reply;
    enum queue_status status;
} answer_cases[] = {
    {{200, "{}"}, QUEUE_OK},
    {{200, "<html>"}, QUEUE_UNAVAILABLE},
    {{200, "[]"}, QUEUE_UNAVAILABLE},
    {{200, NULL}, QUEUE_UNAVAILABLE}, /* larger than we read */
    {{0, NULL}, QUEUE_UNAVAILABLE},   /* closes */
    {{500, "{\"__type\":\"InternalError\"}"}, QUEUE_UNAVAILABLE},
    {{503, "<html>"}, QUEUE_UNAVAILABLE},
    {{429, ""}, QUEUE_UNAVAILABLE},
    {{400, "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}"}, QUEUE_UNAVAILABLE},
    {{400, "{\"__type\":\"ThrottlingException\"}"}, QUEUE_UNAVAILABLE},
    {{400, "{\"__type\":\"com.amazonaws.sqs#OverLimit\"}"}, QUEUE_UNAVAILABLE},
    {{400, "{\"__type\":\"InvalidAddress\"}"}, QUEUE_REFUSED},
    {{403, "{\"__type\":\"AccessDeniedException\"}"}, QUEUE_UNAVAILABLE},
    {{404, "<html>"}, QUEUE_REFUSED},
    {{302, ""}, QUEUE_REFUSED},
};

static void an_answer_is_judged_by_its_status_and_body(void **state) {
    (void)state;
    for_each_row(i, answer_cases, "%d %s", answer_cases[i].reply.status, answer_cases[i].reply.body) {
        const struct reply replies[] = {READY, answer_cases[i].reply, answer_cases[i].reply};
        struct server s;
        start_server(&s, replies);
        enum queue_status status = queue_check(s.client);
        if (status != answer_cases[i].status)
            fail_msg("%d, %s", status, queue_error(s.client));
        assert_true((status == QUEUE_OK) == !*queue_error(s.client));
        stop_server(&s);
    }
}

static void a_client_keeps_its_connection(void **state) {
    (void)state;
    static const struct reply replies[] = {READY, {200, "{}"}, {400, "{}"}, {200, "{}"}};
    struct server s;
    start_server(&s, replies);
    assert_int_equal(queue_check(s.client), QUEUE_OK);
    assert_int_equal(queue_check(s.client), QUEUE_REFUSED);
    assert_int_equal(queue_check(s.client), QUEUE_OK);
    stop_server(&s);
    assert_int_equal(s.connections, 1);
}

static enum queue_status send_entry(struct queue *q, struct queue_entry *entry) {
    struct queue_call call = {.entries = entry, .n = 1};
    assert_int_equal(queue_send(q, &call, 1), 1);
    assert_string_equal(queue_error(q), call.error);
    return call.status;
}

static void a_forgotten_queue_is_made_anew(void **state) {
    (void)state;
    static const struct reply replies[] = {READY,
                                           {200, "{\"Successful\":[{\"Id\":\"0\"}]}"},
                                           MISSING,
                                           READY,
                                           {200, "{\"Successful\":[{\"Id\":\"0\"}]}"}};
    struct server s;
    start_server(&s, replies);
    for (int i = 0; i < 2; i++) {
        struct queue_entry entry = {.body = "b", .group_id = "g", .deduplication_id = "d", .refused = true};
        assert_int_equal(send_entry(s.client, &entry), QUEUE_OK);
        assert_true(entry.accepted);
        assert_false(entry.refused);
    }
    stop_server(&s);
    assert_string_equal(s.actions,
                        READY_ACTIONS "SendMessageBatch SendMessageBatch " READY_ACTIONS "SendMessageBatch ");
}

static void entries_that_failed_are_tried_once_more_alone(void **state) {
    (void)state;
    static const struct reply replies[] = {
        READY,
        {200, "{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\",\"Message\":\"a\"},"
              "{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"b\"}]}"},
        {200, "{\"Successful\":[{\"Id\":\"0\"}]}"},
        {200, "{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\",\"Message\":\"c\"}]}"},
        {200, "{\"Successful\":[{\"Id\":\"0\"}]}"}};
    const struct queue_message a = {.receipt = "ra"}, b = {.receipt = "rb"};
    const struct queue_message *const messages[] = {&a, &b};
    struct server s;
    start_server(&s, replies);
    assert_int_equal(queue_delete(s.client, messages, 2), QUEUE_OK);
    assert_string_equal(queue_error(s.client), "ReceiptHandleIsInvalid: b");
    assert_int_equal(queue_set_visibility(s.client, messages, (int[]){1, 1}, 2), QUEUE_OK);
    assert_string_equal(queue_error(s.client), "");
    stop_server(&s);
    assert_string_equal(s.actions,
                        READY_ACTIONS "DeleteMessageBatch DeleteMessageBatch "
                                      "ChangeMessageVisibilityBatch ChangeMessageVisibilityBatch ");
}

/* Every entry of every call fails, for hours: calls and their retries are bounded. */
static void retries_have_a_budget(void **state) {
    (void)state;
    static const struct reply all_fail = {200, "{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\"}]}"};
    enum { CALLS = 400 };
    struct reply replies[4 + 2 * CALLS + 1] = {READY};
    for (size_t i = 4; i < sizeof replies / sizeof *replies; i++)
        replies[i] = all_fail;
    const struct queue_message a = {.receipt = "ra"};
    const struct queue_message *const messages[] = {&a};
    struct server s;
    start_server(&s, replies);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(queue_delete(s.client, messages, 1), QUEUE_OK);
    assert_string_equal(queue_error(s.client), "retry budget is used up");
    stop_server(&s);
    size_t retries = s.next - 4 - CALLS;
    assert_in_range(retries, 100, 250);
}

static void a_dead_letter_is_sent_or_said_not_to_be(void **state) {
    (void)state;
    static const struct reply replies[] = {
        READY,
        {200, "{\"Successful\":[{\"Id\":\"0\"}]}"},
        {200, "{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\"}]}"},
        {200, "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"InvalidMessageContents\"}]}"},
        {503, ""}};
    static const enum queue_status expected[] = {QUEUE_OK, QUEUE_UNAVAILABLE, QUEUE_REFUSED,
                                                 QUEUE_UNAVAILABLE};
    const struct queue_message message = {.id = "m", .body = "b", .group_id = "g"};
    struct server s;
    start_server(&s, replies);
    for_each_row(i, expected, "answer %zu", i) {
        assert_int_equal(queue_bury(s.client, &message, "why"), expected[i]);
    }
    stop_server(&s);
}

static void a_failed_call_accepts_nothing(void **state) {
    (void)state;
    static const struct reply replies[] = {READY, {503, ""}};
    struct server s;
    struct queue_entry entry = {
        .body = "b", .group_id = "g", .deduplication_id = "d", .accepted = true, .refused = true};
    start_server(&s, replies);
    assert_int_equal(send_entry(s.client, &entry), QUEUE_UNAVAILABLE);
    assert_false(entry.accepted || entry.refused);
    stop_server(&s);
}

static void an_interrupt_ends_this_call_and_the_next(void **state) {
    (void)state;
    static const struct reply replies[] = {READY, {-1, NULL}};
    struct server s;
    struct queue_batch batch;
    start_server(&s, replies);
    assert_int_equal(queue_receive(s.client, 20, &batch), QUEUE_INTERRUPTED);
    assert_int_equal(batch.count, 0);
    queue_batch_free(&batch);
    assert_int_equal(queue_check(s.client), QUEUE_INTERRUPTED);
    stop_server(&s);
    assert_string_equal(s.actions, READY_ACTIONS "ReceiveMessage ");
}

static void nothing_to_settle_is_no_call(void **state) {
    (void)state;
    static const struct reply replies[] = {{503, ""}};
    struct server s;
    start_server(&s, replies);
    assert_int_equal(queue_check(s.client), QUEUE_UNAVAILABLE);
    assert_int_equal(queue_delete(s.client, NULL, 0), QUEUE_OK);
    assert_string_equal(queue_error(s.client), "");
    assert_int_equal(queue_set_visibility(s.client, NULL, NULL, 0), QUEUE_OK);
    stop_server(&s);
    assert_string_equal(s.actions, "GetQueueUrl ");
}

static void a_server_away_is_unavailable(void **state) {
    (void)state;
    struct server s;
    start_server(&s, NULL);
    shutdown(s.fd, SHUT_RDWR);
    pthread_join(s.thread, NULL);
    close(s.fd);
    assert_int_equal(queue_check(s.client), QUEUE_UNAVAILABLE);
    assert_non_null(strstr(queue_error(s.client), "GetQueueUrl: "));
    queue_close(s.client);
}

#define TWICE(...) __VA_ARGS__, __VA_ARGS__
#define TEN(...) TWICE(TWICE(TWICE(__VA_ARGS__))), TWICE(__VA_ARGS__)
#define CLOSES                                                                                               \
    { 0, NULL }
#define THROTTLED                                                                                            \
    { 400, "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}" }

static void a_breaker_spares_a_server_that_fails(void **state) {
    (void)state;
    static const struct reply replies[] = {TEN(CLOSES), CLOSES};
    struct breaker breaker = BREAKER_INIT;
    struct server s;
    start_server(&s, replies);
    struct queue_options options = s.options;
    options.breaker = &breaker;
    struct queue *one = queue_open(&options), *other = queue_open(&options);
    for (int i = 0; i < 20; i++)
        assert_int_equal(queue_ensure(i % 2 ? one : other), QUEUE_UNAVAILABLE);
    assert_non_null(strstr(queue_error(one), "circuit breaker is open"));
    assert_int_equal(s.next, 10);
    assert_int_equal(queue_check(s.client), QUEUE_UNAVAILABLE); /* has none, and always tries */
    assert_int_equal(s.next, 11);
    queue_close(one);
    queue_close(other);
    stop_server(&s);
}

static void throttling_opens_no_breaker(void **state) {
    (void)state;
    static const struct reply replies[] = {TEN(THROTTLED), TEN({429, ""}), READY, {200, "{}"}};
    struct breaker breaker = BREAKER_INIT;
    struct server s;
    start_server(&s, replies);
    struct queue_options options = s.options;
    options.breaker = &breaker;
    struct queue *q = queue_open(&options);
    for (int i = 0; i < 20; i++)
        assert_int_equal(queue_check(q), QUEUE_UNAVAILABLE);
    assert_int_equal(queue_check(q), QUEUE_OK);
    queue_close(q);
    stop_server(&s);
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
        cmocka_unit_test(a_queue_is_found_or_made),
        cmocka_unit_test(an_answer_is_judged_by_its_status_and_body),
        cmocka_unit_test(a_client_keeps_its_connection),
        cmocka_unit_test(a_forgotten_queue_is_made_anew),
        cmocka_unit_test(entries_that_failed_are_tried_once_more_alone),
        cmocka_unit_test(retries_have_a_budget),
        cmocka_unit_test(a_dead_letter_is_sent_or_said_not_to_be),
        cmocka_unit_test(a_failed_call_accepts_nothing),
        cmocka_unit_test(an_interrupt_ends_this_call_and_the_next),
        cmocka_unit_test(nothing_to_settle_is_no_call),
        cmocka_unit_test(a_server_away_is_unavailable),
        cmocka_unit_test(a_breaker_spares_a_server_that_fails),
        cmocka_unit_test(throttling_opens_no_breaker),
    };
    return cmocka_run_group_tests_name("queue", tests, setup, teardown);
}
