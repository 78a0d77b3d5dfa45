/* The bodies of SQS requests and what is read of answers, good and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/queue/json.h"

#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

#define URL "http://h/0/o.fifo"
#define MD5_OK "444bcb3a3fcf8389296c49467f27e1d6" /* of "ok" */

static json_t *parse(const char *text) {
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

/* The text must be JSON, and the same document as expected. */
static void assert_body(struct buf *body, const char *expected) {
    assert_false(body->failed);
    json_t *a = parse(body->data), *b = parse(expected);
    if (!json_equal(a, b))
        fail_msg("%s is not %s", body->data, expected);
    json_decref(a);
    json_decref(b);
    buf_free(body);
}

static void bodies_about_a_queue_are_written(void **state) {
    (void)state;
    struct queue_options options = {.visibility_timeout_s = 30, .max_receive_count = 3};
    struct buf b = {0};
    queue_json_name(&b, "o.fifo");
    assert_body(&b, "{\"QueueName\":\"o.fifo\"}");
    queue_json_attributes(&b, URL);
    assert_body(&b, "{\"QueueUrl\":\"" URL "\",\"AttributeNames\":[\"All\"]}");
    queue_json_create(&b, &options, "d.fifo", "");
    assert_body(&b, "{\"QueueName\":\"d.fifo\",\"Attributes\":{\"FifoQueue\":\"true\","
                    "\"ContentBasedDeduplication\":\"false\",\"VisibilityTimeout\":\"30\"}}");
    queue_json_create(&b, &options, "o.fifo", "arn:d");
    assert_body(&b, "{\"QueueName\":\"o.fifo\",\"Attributes\":{\"FifoQueue\":\"true\","
                    "\"ContentBasedDeduplication\":\"false\",\"VisibilityTimeout\":\"30\",\"RedrivePolicy\":"
                    "\"{\\\"deadLetterTargetArn\\\":\\\"arn:d\\\",\\\"maxReceiveCount\\\":3}\"}}");
    options.aws = true;
    queue_json_create(&b, &options, "d.fifo", "");
    assert_body(&b,
                "{\"QueueName\":\"d.fifo\",\"Attributes\":{\"FifoQueue\":\"true\","
                "\"ContentBasedDeduplication\":\"false\",\"VisibilityTimeout\":\"30\","
                "\"DeduplicationScope\":\"messageGroup\",\"FifoThroughputLimit\":\"perMessageGroupId\"}}");
    queue_json_redrive(&b, URL, "arn:d", 5);
    assert_body(&b, "{\"QueueUrl\":\"" URL "\",\"Attributes\":{\"RedrivePolicy\":"
                    "\"{\\\"deadLetterTargetArn\\\":\\\"arn:d\\\",\\\"maxReceiveCount\\\":5}\"}}");
}

static void messages_to_send_are_written(void **state) {
    (void)state;
    const struct queue_entry entries[] = {
        {.body = "{\"a\":\"\xc3\xbc\\\"\"}", .group_id = "g", .deduplication_id = "d"},
        {.body = "x", .group_id = "h", .deduplication_id = "e", .correlation_id = "c\"", .traceparent = ""},
        {.body = "y",
         .group_id = "i",
         .deduplication_id = "f",
         .correlation_id = "c",
         .traceparent = "t",
         .tracestate = "s=1",
         .reason = "r"}};
    struct buf b = {0};
    queue_json_send(&b, URL, entries, 3);
    assert_body(
        &b, "{\"QueueUrl\":\"" URL "\",\"Entries\":["
            "{\"Id\":\"0\",\"MessageBody\":\"{\\\"a\\\":\\\"\xc3\xbc\\\\\\\"\\\"}\",\"MessageGroupId\":\"g\","
            "\"MessageDeduplicationId\":\"d\",\"MessageAttributes\":{}},"
            "{\"Id\":\"1\",\"MessageBody\":\"x\",\"MessageGroupId\":\"h\",\"MessageDeduplicationId\":\"e\","
            "\"MessageAttributes\":{\"correlationId\":{\"DataType\":\"String\",\"StringValue\":\"c\\\"\"}}},"
            "{\"Id\":\"2\",\"MessageBody\":\"y\",\"MessageGroupId\":\"i\",\"MessageDeduplicationId\":\"f\","
            "\"MessageAttributes\":{\"correlationId\":{\"DataType\":\"String\",\"StringValue\":\"c\"},"
            "\"traceparent\":{\"DataType\":\"String\",\"StringValue\":\"t\"},"
            "\"tracestate\":{\"DataType\":\"String\",\"StringValue\":\"s=1\"},"
            "\"reason\":{\"DataType\":\"String\",\"StringValue\":\"r\"}}}]}");
}

static void what_happens_to_received_messages_is_written(void **state) {
    (void)state;
    const struct queue_message a = {.receipt = "ra"}, c = {.receipt = "rc"};
    const struct queue_message *const messages[] = {&a, &c};
    struct buf b = {0};
    struct uuid attempt = {{1}};
    queue_json_receive(&b, URL, 20, 30, &attempt);
    assert_body(
        &b,
        "{\"QueueUrl\":\"" URL "\",\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":20,"
        "\"VisibilityTimeout\":30,\"ReceiveRequestAttemptId\":\"01000000-0000-0000-0000-000000000000\",\"AttributeNames\":[\"All\"],"
        "\"MessageSystemAttributeNames\":[\"All\"],\"MessageAttributeNames\":[\"All\"]}");
    queue_json_receive(&b, URL, 0, 30, NULL);
    assert_body(&b, "{\"QueueUrl\":\"" URL "\",\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":0,"
                    "\"VisibilityTimeout\":30,\"AttributeNames\":[\"All\"],"
                    "\"MessageSystemAttributeNames\":[\"All\"],\"MessageAttributeNames\":[\"All\"]}");
    queue_json_receipts(&b, URL, messages, NULL, 2);
    assert_body(&b, "{\"QueueUrl\":\"" URL "\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"ra\"},"
                    "{\"Id\":\"1\",\"ReceiptHandle\":\"rc\"}]}");
    queue_json_receipts(&b, URL, messages, (int[]){0, 9}, 2);
    assert_body(&b, "{\"QueueUrl\":\"" URL
                    "\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"ra\",\"VisibilityTimeout\":0},"
                    "{\"Id\":\"1\",\"ReceiptHandle\":\"rc\",\"VisibilityTimeout\":9}]}");
}

static const struct {
    const char *answer;
    bool ok, fifo;
    const char *arn, *dead_letter_arn;
} attribute_cases[] = {
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"FifoQueue\":\"true\"}}", true, true, "a", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\"}}", true, false, "a", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"FifoQueue\":\"false\"}}", true, false, "a", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"FifoQueue\":true}}", true, false, "a", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"\"}}", true, false, "a", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":"
     "\"{\\\"maxReceiveCount\\\":\\\"3\\\",\\\"deadLetterTargetArn\\\":\\\"d\\\"}\"}}",
     true, false, "a", "d"},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{}\"}}", false, false, "", ""},
    {"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"[1\"}}", false, false, "", ""},
    {"{\"Attributes\":{}}", false, false, "", ""},
    {"{\"Attributes\":[]}", false, false, "", ""},
    {"{}", false, false, "", ""},
};

static void attributes_are_read(void **state) {
    (void)state;
    for_each_row(i, attribute_cases, "%s", attribute_cases[i].answer) {
        json_t *answer = parse(attribute_cases[i].answer);
        struct queue_attributes found;
        bool ok = queue_json_read_attributes(answer, &found);
        json_decref(answer);
        if (ok != attribute_cases[i].ok)
            fail_msg("%s", attribute_cases[i].answer);
        if (!ok)
            continue;
        assert_int_equal(found.fifo, attribute_cases[i].fifo);
        assert_string_equal(found.arn, attribute_cases[i].arn);
        assert_string_equal(found.dead_letter_arn, attribute_cases[i].dead_letter_arn);
    }
}

static void all_messages_are_counted(void **state) {
    (void)state;
#define DEPTH(a, b, c) "{\"Attributes\":{\"ApproximateNumberOfMessages" a "\",\"" b "\":\"" c "\"}}"
#define HIDDEN "ApproximateNumberOfMessagesNotVisible"
    static const struct {
        const char *answer;
        bool ok;
        int64_t messages;
    } cases[] = {
        {DEPTH("\":\"2", HIDDEN, "3"), true, 5},
        {DEPTH("\":\"0", HIDDEN, "0"), true, 0},
        {DEPTH("\":\"0", HIDDEN, "0\",\"ApproximateNumberOfMessagesDelayed\":\"4"), true, 4},
        {DEPTH("\":\"0", "other", "0"), false, 0}, /* not told is not empty */
        {DEPTH("X\":\"0", HIDDEN, "0"), false, 0},
        {"{}", false, 0},
    };
    for_each_row(i, cases, "%s", cases[i].answer) {
        json_t *answer = parse(cases[i].answer);
        struct queue_counts counts;
        assert_int_equal(queue_json_read_counts(answer, &counts), cases[i].ok);
        if (cases[i].ok)
            assert_int_equal(counts.visible + counts.hidden + counts.delayed, cases[i].messages);
        json_decref(answer);
    }
}

static void names_that_do_not_fit_are_refused(void **state) {
    (void)state;
    char name[QUEUE_URL_SIZE + 1], url[QUEUE_URL_SIZE] = "kept";
    memset(name, 'x', sizeof name);
    name[QUEUE_URL_SIZE] = '\0';
    json_t *answer = json_pack("{s:s}", "QueueUrl", name);
    assert_false(queue_json_read_url(answer, url));
    assert_string_equal(url, "kept");
    json_object_set_new(answer, "QueueUrl", json_string(name + 1));
    assert_true(queue_json_read_url(answer, url));
    assert_string_equal(url, name + 1);
    json_object_set_new(answer, "QueueUrl", json_string(""));
    assert_false(queue_json_read_url(answer, url));
    json_decref(answer);

    struct queue_attributes found;
    name[QUEUE_ARN_SIZE] = '\0';
    answer = json_pack("{s:{s:s}}", "Attributes", "QueueArn", name);
    assert_false(queue_json_read_attributes(answer, &found));
    json_decref(answer);
}

/* Of two entries with body "ok": a accepted, r refused for good, - neither. */
static const struct {
    const char *answer;
    bool ok;
    const char *fate;
    const char *words;
} sent_cases[] = {
    {"{\"Successful\":[{\"Id\":\"0\",\"MD5OfMessageBody\":\"" MD5_OK "\"},{\"Id\":\"1\"}]}", true, "aa", ""},
    {"{\"Successful\":[{\"Id\":\"1\"}],\"Failed\":[]}", true, "-a", ""},
    {"{\"Successful\":[{\"Id\":\"1\"}],\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"Bad\","
     "\"Message\":\"why\"}]}",
     true, "ra", "Bad: why"},
    {"{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":false,\"Code\":\"Busy\"},{\"Id\":\"1\"}]}", true, "--",
     "no code: no message"},
    {"{\"Successful\":[{\"Id\":\"0\",\"MD5OfMessageBody\":\"00\"},{\"Id\":\"1\"}]}", true, "-a",
     "the server's MD5 of the body differs"},
    {"{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"C\","
     "\"Message\":\"m\"}]}",
     true, "r-", "C: m"},
    {"{\"Successful\":[{\"Id\":\"2\"},{\"Id\":\"\"},{\"Id\":\"00\"},{\"Id\":\"-1\"},{\"Id\":0},{},7,null]}",
     true, "--", ""},
    {"{\"Successful\":[],\"Failed\":[{\"Id\":\"9\",\"SenderFault\":true}]}", true, "--", ""},
    {"{\"Successful\":{}}", false, "--", "the response names no entry"},
    {"{}", false, "--", "the response names no entry"},
};

static void what_became_of_sent_messages_is_read(void **state) {
    (void)state;
    for_each_row(i, sent_cases, "%s", sent_cases[i].answer) {
        json_t *answer = parse(sent_cases[i].answer);
        struct queue_entry entries[] = {{.body = "ok"}, {.body = "ok"}};
        char words[QUEUE_ERROR_SIZE] = "";
        bool ok = queue_json_read_sent(answer, entries, 2, words);
        json_decref(answer);
        char fate[3] = "";
        for (size_t k = 0; k < 2; k++)
            fate[k] = entries[k].accepted ? 'a' : entries[k].refused ? 'r' : '-';
        if (ok != sent_cases[i].ok || strcmp(fate, sent_cases[i].fate) != 0)
            fail_msg("%s: %s", sent_cases[i].answer, fate);
        assert_string_equal(words, sent_cases[i].words);
    }
}

static void the_id_of_a_sent_message_is_read(void **state) {
    (void)state;
    json_t *answer = parse("{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m-1\"},{\"Id\":\"1\"}]}");
    struct queue_entry entries[] = {{.body = "ok"}, {.body = "ok"}};
    char words[QUEUE_ERROR_SIZE] = "";
    assert_true(queue_json_read_sent(answer, entries, 2, words));
    assert_string_equal(entries[0].id, "m-1");
    assert_string_equal(entries[1].id, "");
    json_decref(answer);
}

#define MESSAGE(id, group, more)                                                                             \
    "{\"MessageId\":\"" id                                                                                   \
    "\",\"ReceiptHandle\":\"r\",\"Body\":\"ok\",\"Attributes\":{\"MessageGroupId\":\"" group "\"}" more "}"
#define DAMAGED ",\"MD5OfBody\":\"00\""

static const struct {
    const char *answer;
    bool ok;
    const char *ids; /* of the messages given out */
} received_cases[] = {
    {"{}", true, ""},
    {"{\"Messages\":null}", true, ""},
    {"{\"Messages\":[]}", true, ""},
    {"{\"Messages\":{}}", false, ""},
    {"{\"Messages\":\"x\"}", false, ""},
    {"{\"Messages\":[" MESSAGE("1", "g", "") "]}", true, "1"},
    {"{\"Messages\":[" MESSAGE("1", "g", ",\"MD5OfBody\":\"" MD5_OK "\"") "]}", true, "1"},
    /* nothing overtakes a damaged message of its group */
    {"{\"Messages\":[" MESSAGE("1", "g", "") "," MESSAGE("2", "g", DAMAGED) "," MESSAGE(
         "3", "h", "") "," MESSAGE("4", "g", "") "]}",
     true, "13"},
    {"{\"Messages\":[7,{},{\"MessageId\":\"1\",\"ReceiptHandle\":\"r\",\"Body\":\"ok\"},"
     "{\"MessageId\":\"2\",\"ReceiptHandle\":\"r\",\"Body\":1,\"Attributes\":{\"MessageGroupId\":\"g\"}},"
     "{\"MessageId\":\"3\",\"Body\":\"ok\",\"Attributes\":[]}," MESSAGE("4", "h", "") "]}",
     true, "4"},
    {"{\"Messages\":[{},{},{},{},{},{},{},{},{},{},{}]}", false, ""},
};

static void messages_are_read(void **state) {
    (void)state;
    for_each_row(i, received_cases, "%s", received_cases[i].answer) {
        json_t *answer = parse(received_cases[i].answer);
        struct queue_batch batch = {0};
        char words[QUEUE_ERROR_SIZE] = "", ids[QUEUE_BATCH + 1] = "";
        bool ok = queue_json_read_received(answer, &batch, words);
        for (size_t k = 0; k < batch.count; k++)
            strcat(ids, batch.messages[k].id);
        if (ok != received_cases[i].ok || strcmp(ids, received_cases[i].ids) != 0)
            fail_msg("%s: %s", received_cases[i].answer, ids);
        bool complete = ok && json_array_size(json_object_get(answer, "Messages")) == batch.count;
        assert_true(complete == !*words);
        json_decref(batch.storage);
        json_decref(answer);
    }
}

static void a_message_is_read_in_full(void **state) {
    (void)state;
    json_t *answer =
        parse("{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"{\\\"a\\\":1}\","
              "\"Attributes\":{\"MessageGroupId\":\"g\",\"ApproximateReceiveCount\":\"2\",\"SentTimestamp\":"
              "\"99\"},"
              "\"MessageAttributes\":{\"correlationId\":{\"DataType\":\"String\",\"StringValue\":\"c\"},"
              "\"traceparent\":{\"StringValue\":\"t\"},\"tracestate\":{\"StringValue\":\"s=1\"}}}]}");
    struct queue_batch batch = {0};
    char words[QUEUE_ERROR_SIZE] = "";
    assert_true(queue_json_read_received(answer, &batch, words));
    json_decref(answer); /* the batch keeps what its strings live in */
    assert_int_equal(batch.count, 1);
    const struct queue_message *m = &batch.messages[0];
    assert_string_equal(m->id, "m");
    assert_string_equal(m->receipt, "r");
    assert_string_equal(m->body, "{\"a\":1}");
    assert_int_equal(m->body_len, strlen(m->body));
    assert_string_equal(m->group_id, "g");
    assert_string_equal(m->correlation_id, "c");
    assert_string_equal(m->traceparent, "t");
    assert_string_equal(m->tracestate, "s=1");
    assert_int_equal(m->receive_count, 2);
    assert_int_equal(m->sent_ms, 99);
    json_decref(batch.storage);
}

static const struct {
    const char *count;
    unsigned read;
} counts[] = {{"\"1\"", 1},  {"\"3\"", 3}, {"\"0\"", 1},
              {"\"-5\"", 1}, {"\"x\"", 1}, {"\"99999999999999999999\"", 1000000},
              {"7", 1},      {"null", 1}};

static void what_a_message_says_of_itself_is_bounded(void **state) {
    (void)state;
    for_each_row(i, counts, "%s", counts[i].count) {
        char text[512], words[QUEUE_ERROR_SIZE] = "";
        snprintf(
            text, sizeof text,
            "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"\",\"Attributes\":"
            "{\"MessageGroupId\":\"g\",\"ApproximateReceiveCount\":%s,\"SentTimestamp\":\"-1\"},"
            "\"MessageAttributes\":{\"correlationId\":{\"StringValue\":\"%0200d\"},\"traceparent\":7}}]}",
            counts[i].count, 0);
        json_t *answer = parse(text);
        struct queue_batch batch = {0};
        assert_true(queue_json_read_received(answer, &batch, words));
        assert_int_equal(batch.messages[0].receive_count, counts[i].read);
        assert_int_equal(batch.messages[0].sent_ms, 0);
        assert_string_equal(batch.messages[0].correlation_id, ""); /* too long to be ours */
        assert_string_equal(batch.messages[0].traceparent, "");
        assert_string_equal(batch.messages[0].tracestate, "");
        json_decref(batch.storage);
        json_decref(answer);
    }
}

static void failures_of_a_batch_are_read(void **state) {
    (void)state;
    char words[QUEUE_ERROR_SIZE] = "";
    bool again[3] = {false};
    json_t *answer = parse("{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[]}");
    queue_json_read_failures(answer, 3, again, words);
    assert_string_equal(words, "");
    json_decref(answer);
    answer = parse(
        "{\"Failed\":[{\"Id\":\"2\",\"Code\":\"InternalError\"},"
        "{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"old\"}]}");
    queue_json_read_failures(answer, 3, again, words);
    assert_string_equal(words, "ReceiptHandleIsInvalid: old");
    assert_true(!again[0] && !again[1] && again[2]);
    json_decref(answer);
    answer = parse("{\"Failed\":[{\"Id\":\"2\",\"Code\":\"InternalError\",\"Message\":\"odd\"}]}");
    queue_json_read_failures(answer, 2, again, words); /* an entry that was not in the call */
    assert_string_equal(words, "InternalError: odd");
    json_decref(answer);
    answer = parse("{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InternalError\",\"Message\":\"still\"}]}");
    queue_json_read_failures(answer, 1, NULL, words);
    assert_string_equal(words, "InternalError: still");
    json_decref(answer);
}

static const struct {
    const char *answer;
    const char *refusal, *words;
} error_cases[] = {
    {"{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"gone\"}", "QueueDoesNotExist",
     "QueueDoesNotExist: gone"},
    {"{\"__type\":\"QueueDoesNotExist\",\"Message\":\"gone\"}", "QueueDoesNotExist",
     "QueueDoesNotExist: gone"},
    {"{\"__type\":\"a#b#C\",\"message\":\"x\",\"Message\":\"y\"}", "C", "C: x"},
    {"{\"__type\":7,\"message\":[]}", "", "no type: no message"},
    {"{\"__type\":\"x#\"}", "", "no type: no message"},
    {"{}", "", "no type: no message"},
};

static void errors_are_read(void **state) {
    (void)state;
    char refusal[QUEUE_REFUSAL_SIZE], words[QUEUE_ERROR_SIZE];
    for_each_row(i, error_cases, "%s", error_cases[i].answer) {
        json_t *answer = parse(error_cases[i].answer);
        queue_json_read_error(answer, refusal, words);
        assert_string_equal(refusal, error_cases[i].refusal);
        assert_string_equal(words, error_cases[i].words);
        json_decref(answer);
    }
    queue_json_read_error(NULL, refusal, words);
    assert_string_equal(refusal, "");
    assert_string_equal(words, "no type: no message");
}

static void errors_that_are_too_long_are_cut(void **state) {
    (void)state;
    char refusal[QUEUE_REFUSAL_SIZE], words[QUEUE_ERROR_SIZE], text[4096];
    snprintf(text, sizeof text, "{\"__type\":\"%01500d\",\"message\":\"%01500d\"}", 0, 0);
    json_t *answer = parse(text);
    queue_json_read_error(answer, refusal, words);
    json_decref(answer);
    assert_int_equal(strlen(refusal), QUEUE_REFUSAL_SIZE - 1);
    assert_int_equal(strlen(words), QUEUE_ERROR_SIZE - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_about_a_queue_are_written),
        cmocka_unit_test(messages_to_send_are_written),
        cmocka_unit_test(what_happens_to_received_messages_is_written),
        cmocka_unit_test(attributes_are_read),
        cmocka_unit_test(all_messages_are_counted),
        cmocka_unit_test(names_that_do_not_fit_are_refused),
        cmocka_unit_test(what_became_of_sent_messages_is_read),
        cmocka_unit_test(the_id_of_a_sent_message_is_read),
        cmocka_unit_test(messages_are_read),
        cmocka_unit_test(a_message_is_read_in_full),
        cmocka_unit_test(what_a_message_says_of_itself_is_bounded),
        cmocka_unit_test(failures_of_a_batch_are_read),
        cmocka_unit_test(errors_are_read),
        cmocka_unit_test(errors_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests_name("queue_json", tests, NULL, NULL);
}
