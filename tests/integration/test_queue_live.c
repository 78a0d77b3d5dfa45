/* The queue client against a real SQS server (SQS_ENDPOINT; requests are signed when AWS_ACCESS_KEY_ID is
 * set). With the argument "signing" only one message's way through every call. */
#include "live.h"

#include "common/base/buf.h"
#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "fakes/rows.h"

enum { RAW_SIZE = 8192 };

/* A call that the client never makes, past it. The credential says "sqs" to a server of many services. */
static void raw_call(const char *action, const char *body, char answer[static RAW_SIZE]) {
    char host[256], request[RAW_SIZE], *port;
    snprintf(host, sizeof host, "%s", setting("SQS_ENDPOINT", "http://localhost:9324") + strlen("http://"));
    port = strchr(host, ':');
    assert_non_null(port);
    *port++ = '\0';
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *address;
    assert_int_equal(getaddrinfo(host, port, &hints, &address), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, address->ai_addr, address->ai_addrlen), 0);
    freeaddrinfo(address);
    int len =
        snprintf(request, sizeof request,
                 "POST / HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\nX-Amz-Target: AmazonSQS.%s\r\n"
                 "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request\r\n"
                 "Content-Type: application/x-amz-json-1.0\r\nContent-Length: %zu\r\n\r\n%s",
                 host, port, action, strlen(body), body);
    assert_int_equal(send(fd, request, (size_t)len, 0), len);
    size_t got = 0;
    for (ssize_t n; (n = recv(fd, answer + got, RAW_SIZE - 1 - got, 0)) > 0;)
        got += (size_t)n;
    answer[got] = '\0';
    close(fd);
}

PRINTF_LIKE(2, 3)
static void raw(const char *action, const char *format, ...) {
    char body[1024], answer[RAW_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    raw_call(action, body, answer);
    if (!strstr(answer, " 200 "))
        fail_msg("%s %s: %s", action, body, answer);
}

/* The URL the server gives a queue, whose account part differs between servers. */
static void raw_url(const char *name, char url[static QUEUE_URL_SIZE]) {
    char body[256], answer[RAW_SIZE];
    snprintf(body, sizeof body, "{\"QueueName\":\"%s\"}", name);
    raw_call("GetQueueUrl", body, answer);
    const char *member = strstr(answer, "\"QueueUrl\"");
    assert_non_null(member);
    const char *start = strstr(member, "http");
    assert_non_null(start);
    snprintf(url, QUEUE_URL_SIZE, "%.*s", (int)strcspn(start, "\""), start);
}

static void assert_redrive(const char *name, const char *dead_letters, const char *max_receive_count) {
    char url[QUEUE_URL_SIZE], body[QUEUE_URL_SIZE + 64], answer[RAW_SIZE];
    raw_url(name, url);
    snprintf(body, sizeof body, "{\"QueueUrl\":\"%s\",\"AttributeNames\":[\"All\"]}", url);
    raw_call("GetQueueAttributes", body, answer);
    const char *policy = strstr(answer, "RedrivePolicy");
    assert_non_null(policy);
    assert_non_null(strstr(policy, dead_letters));
    const char *count = strstr(policy, "maxReceiveCount");
    assert_non_null(count);
    count += strcspn(count, "0123456789");
    assert_memory_equal(count, max_receive_count, strlen(max_receive_count));
}

static void assert_ok(struct queue *q, enum queue_status status) {
    if (status != QUEUE_OK)
        fail_msg("status %d: %s", status, queue_error(q));
}

static struct queue *open_queue(struct live_queue *live, const char *purpose) {
    live_queue_init(live, purpose);
    struct queue *q = queue_open(&live->options);
    assert_non_null(q);
    return q;
}

static enum queue_status send_entries(struct queue *q, struct queue_entry entries[], size_t n) {
    struct queue_call call = {.entries = entries, .n = n};
    assert_int_equal(queue_send(q, &call, 1), 1);
    return call.status;
}

static void send_one(struct queue *q, const char *group, const char *deduplication_id, const char *body) {
    struct queue_entry entry = {.body = body, .group_id = group, .deduplication_id = deduplication_id};
    assert_ok(q, send_entries(q, &entry, 1));
    if (!entry.accepted)
        fail_msg("not accepted: %s", queue_error(q));
}

/* Receives what is there now; a server may need a moment, so that nothing is asked for again a few times. */
static void receive(struct queue *q, struct queue_batch *batch) {
    for (int tries = 0; tries < 10; tries++) {
        assert_ok(q, queue_receive(q, 1, batch));
        assert_string_equal(queue_error(q), "");
        if (batch->count > 0)
            return;
        queue_batch_free(batch);
    }
    fail_msg("no message came");
}

static void put_back(struct queue *q, const struct queue_message *message) {
    assert_ok(q, queue_set_visibility(q, &message, (int[]){0}, 1));
    assert_string_equal(queue_error(q), "");
}

static void delete_message(struct queue *q, const struct queue_message *message) {
    assert_ok(q, queue_delete(q, &message, 1));
    assert_string_equal(queue_error(q), "");
}

static void both_queues_are_made(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "make");
    assert_ok(q, queue_ensure(q));
    assert_redrive(live.name, live.dead_letters, "2");
    assert_ok(q, queue_ensure(q));
    assert_ok(q, queue_check(q));
    queue_close(q);
}

static void the_count_of_an_existing_queue_is_left(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "count");
    assert_ok(q, queue_ensure(q));
    queue_close(q);
    live.options.max_receive_count = 7;
    q = queue_open(&live.options);
    assert_ok(q, queue_ensure(q));
    assert_redrive(live.name, live.dead_letters, "2");
    queue_close(q);
}

static void a_missing_redrive_policy_is_added(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "plain");
    raw("CreateQueue", "{\"QueueName\":\"%s\",\"Attributes\":{\"FifoQueue\":\"true\"}}", live.name);
    assert_ok(q, queue_ensure(q));
    assert_redrive(live.name, live.dead_letters, "2");
    queue_close(q);
}

static void another_redrive_policy_is_refused(void **state) {
    (void)state;
    struct live_queue live, other;
    struct queue *q = open_queue(&live, "redrive");
    assert_ok(q, queue_ensure(q));
    queue_close(q);
    live_queue_init(&other, "other");
    live.options.dead_letter_name = other.dead_letters;
    q = queue_open(&live.options);
    assert_int_equal(queue_ensure(q), QUEUE_REFUSED);
    assert_non_null(strstr(queue_error(q), live.dead_letters));
    queue_close(q);
}

static void a_queue_that_is_not_fifo_is_refused(void **state) {
    (void)state;
    struct live_queue live;
    queue_close(open_queue(&live, "standard"));
    live.name[strlen(live.name) - strlen(".fifo")] = '\0';
    raw("CreateQueue", "{\"QueueName\":\"%s\"}", live.name);
    struct queue *q = queue_open(&live.options);
    struct queue_entry entry = {.body = "b", .group_id = "g", .deduplication_id = "d"};
    assert_int_equal(queue_ensure(q), QUEUE_REFUSED);
    assert_non_null(strstr(queue_error(q), "not a FIFO queue"));
    assert_int_equal(send_entries(q, &entry, 1), QUEUE_REFUSED);
    queue_close(q);
}

static void messages_are_carried_whole(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "whole");
    char *large = malloc(200001);
    memset(large, '"', 200000); /* each byte an escape */
    large[200000] = '\0';
    const char *const bodies[] = {"{\"a\":\"\\u00fc\\n\"}", "tab\t, newline\n, \xc3\xbc, \xf0\x9f\x93\xa6",
                                  "\\\"</script>&amp;%00+ ", large};
    for_each_row(i, bodies, "%.40s", bodies[i]) {
        struct queue_entry entry = {.body = bodies[i],
                                    .group_id = "0197e3a4-0000-7000-8000-000000000001",
                                    .deduplication_id = (const char *[]){"0", "1", "2", "3"}[i],
                                    .correlation_id = "req.1:\"~ \\",
                                    .traceparent = "00-1-2-01"};
        assert_ok(q, send_entries(q, &entry, 1));
        assert_true(entry.accepted);
        struct queue_batch batch;
        receive(q, &batch);
        assert_int_equal(batch.count, 1);
        const struct queue_message *m = &batch.messages[0];
        assert_string_equal(m->body, bodies[i]);
        assert_int_equal(m->body_len, strlen(bodies[i]));
        assert_string_equal(m->group_id, entry.group_id);
        assert_string_equal(m->correlation_id, entry.correlation_id);
        assert_string_equal(m->traceparent, entry.traceparent);
        assert_int_equal(m->receive_count, 1);
        assert_true(m->sent_ms > 0);
        delete_message(q, m);
        queue_batch_free(&batch);
    }
    free(large);
    queue_close(q);
}

/* Each round is one call, or one for each group at once. */
static void the_order_of_a_group_is_kept(void **state) {
    (void)state;
    struct live_queue live;
    live_queue_init(&live, "order");
    live.options.calls = 3;
    struct queue *q = queue_open(&live.options);
    for (int i = 0; i < 12; i++) {
        struct queue_entry entries[3];
        struct queue_call calls[3];
        char body[16], ids[3][32];
        snprintf(body, sizeof body, "%d", i);
        for (int g = 0; g < 3; g++) {
            snprintf(ids[g], sizeof ids[g], "%d-%d", g, i);
            entries[g] = (struct queue_entry){
                .body = body, .group_id = (const char *[]){"a", "b", "c"}[g], .deduplication_id = ids[g]};
            calls[g] = (struct queue_call){.entries = &entries[g], .n = i % 2 ? 3 : 1};
        }
        size_t n = i % 2 ? 1 : 3;
        assert_int_equal(queue_send(q, calls, n), n);
        for (size_t k = 0; k < n; k++)
            assert_ok(q, calls[k].status);
        assert_true(entries[0].accepted && entries[1].accepted && entries[2].accepted);
    }
    int next[3] = {0};
    while (next[0] + next[1] + next[2] < 36) {
        struct queue_batch batch;
        receive(q, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            const struct queue_message *m = &batch.messages[i];
            assert_int_equal(atoi(m->body), next[*m->group_id - 'a']++);
            delete_message(q, m);
        }
        queue_batch_free(&batch);
    }
    queue_close(q);
}

static void an_event_is_taken_once(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "once");
    struct queue_batch batch;
    send_one(q, "g", "same", "b");
    send_one(q, "g", "same", "b");
    send_one(q, "g", "other", "last");
    const char *const expected[] = {"b", "last"};
    for (size_t seen = 0; seen < 2;) {
        receive(q, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            assert_string_equal(batch.messages[i].body, expected[seen++]);
            delete_message(q, &batch.messages[i]);
        }
        queue_batch_free(&batch);
    }
    queue_close(q);
}

static void a_message_is_a_dead_letter_after_its_last_receive(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "dead");
    struct queue_batch batch;
    send_one(q, "g", "d", "poison");
    for (unsigned i = 1; i <= 2; i++) {
        receive(q, &batch);
        assert_int_equal(batch.messages[0].receive_count, i);
        put_back(q, &batch.messages[0]);
        queue_batch_free(&batch);
    }
    assert_ok(q, queue_receive(q, 1, &batch));
    assert_int_equal(batch.count, 0);
    queue_batch_free(&batch);

    live.options.name = live.dead_letters;
    live.options.max_receive_count = 1000; /* a server may go on counting where the first queue stopped */
    live.options.dead_letter_name = "dead-of-the-dead.fifo";
    struct queue *dead_letters = queue_open(&live.options);
    receive(dead_letters, &batch);
    assert_string_equal(batch.messages[0].body, "poison");
    assert_string_equal(batch.messages[0].group_id, "g");
    queue_batch_free(&batch);
    queue_close(dead_letters);
    queue_close(q);
}

static void messages_that_could_not_be_deleted_are_told(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "handles");
    struct queue_batch batch;
    send_one(q, "g", "d", "b");
    receive(q, &batch);
    const struct queue_message made_up = {.receipt = "made up"};
    const struct queue_message *const both[] = {&made_up, &batch.messages[0]};
    assert_ok(q, queue_set_visibility(q, both, (int[]){0, 30}, 2));
    assert_non_null(strstr(queue_error(q), "ReceiptHandleIsInvalid"));
    assert_ok(q, queue_delete(q, both, 2));
    assert_non_null(strstr(queue_error(q), "ReceiptHandleIsInvalid"));
    queue_batch_free(&batch);
    assert_ok(q, queue_receive(q, 0, &batch));
    assert_int_equal(batch.count, 0);
    queue_batch_free(&batch);
    queue_close(q);
}

static void *interrupt_soon(void *q) {
    clock_sleep_ms(200);
    queue_interrupt(q);
    return NULL;
}

static void an_interrupt_ends_a_long_poll(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "poll");
    struct queue_batch batch;
    pthread_t thread;
    assert_ok(q, queue_ensure(q));
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, q), 0);
    assert_int_equal(queue_receive(q, 20, &batch), QUEUE_INTERRUPTED);
    pthread_join(thread, NULL);
    queue_batch_free(&batch);
    queue_close(q);
}

static void a_deleted_queue_is_made_anew(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "anew");
    char url[QUEUE_URL_SIZE];
    struct queue_batch batch;
    assert_ok(q, queue_ensure(q));
    raw_url(live.name, url);
    raw("DeleteQueue", "{\"QueueUrl\":\"%s\"}", url);
    send_one(q, "g", "d", "after");
    receive(q, &batch);
    assert_string_equal(batch.messages[0].body, "after");
    queue_batch_free(&batch);
    queue_close(q);
}

static void every_call_goes_through(void **state) {
    (void)state;
    struct live_queue live;
    struct queue *q = open_queue(&live, "calls");
    struct queue_batch batch;
    assert_ok(q, queue_ensure(q));
    assert_ok(q, queue_check(q));
    send_one(q, "g", "d", "{\"name\":\"\xc3\xbc \xf0\x9f\x93\xa6\"}");
    receive(q, &batch);
    put_back(q, &batch.messages[0]);
    queue_batch_free(&batch);
    receive(q, &batch);
    delete_message(q, &batch.messages[0]);
    queue_batch_free(&batch);
    queue_close(q);
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

int main(int argc, char *argv[]) {
    const struct CMUnitTest signing[] = {cmocka_unit_test(every_call_goes_through)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_queues_are_made),
        cmocka_unit_test(the_count_of_an_existing_queue_is_left),
        cmocka_unit_test(a_missing_redrive_policy_is_added),
        cmocka_unit_test(another_redrive_policy_is_refused),
        cmocka_unit_test(a_queue_that_is_not_fifo_is_refused),
        cmocka_unit_test(messages_are_carried_whole),
        cmocka_unit_test(the_order_of_a_group_is_kept),
        cmocka_unit_test(an_event_is_taken_once),
        cmocka_unit_test(a_message_is_a_dead_letter_after_its_last_receive),
        cmocka_unit_test(messages_that_could_not_be_deleted_are_told),
        cmocka_unit_test(an_interrupt_ends_a_long_poll),
        cmocka_unit_test(a_deleted_queue_is_made_anew),
        cmocka_unit_test(every_call_goes_through),
    };
    if (argc > 1 && strcmp(argv[1], "signing") == 0)
        return cmocka_run_group_tests_name("queue, signing", signing, setup, teardown);
    return cmocka_run_group_tests_name("queue, live", tests, setup, teardown);
}
