/* The AWS JSON 1.0 protocol of SQS. */
#include "json.h"

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/json_write.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECEIVE_COUNT 1000000
#define MAX_DEPTH INT64_C(1000000000000)

static_assert(QUEUE_BATCH <= 10, "the Id of an entry is its index, one digit");

/* Starts a member of the object that is being written. */
static void put_name(struct buf *out, const char *name) {
    if (out->len > 0 && out->data[out->len - 1] != '{')
        buf_char(out, ',');
    buf_printf(out, "\"%s\":", name);
}

static void put_string(struct buf *out, const char *name, const char *value) {
    put_name(out, name);
    json_append_text(out, value);
}

void queue_json_name(struct buf *out, const char *name) {
    buf_char(out, '{');
    put_string(out, "QueueName", name);
    buf_char(out, '}');
}

void queue_json_attributes(struct buf *out, const char *url) {
    buf_char(out, '{');
    put_string(out, "QueueUrl", url);
    buf_str(out, ",\"AttributeNames\":[\"All\"]}");
}

/* The policy is a string attribute, so it is JSON within JSON. */
static void put_redrive_policy(struct buf *out, const char *dead_letter_arn, int max_receive_count) {
    struct buf policy = {0};
    buf_char(&policy, '{');
    put_string(&policy, "deadLetterTargetArn", dead_letter_arn);
    buf_printf(&policy, ",\"maxReceiveCount\":%d}", max_receive_count);
    if (policy.failed)
        out->failed = true;
    else
        put_string(out, "RedrivePolicy", policy.data);
    buf_free(&policy);
}

void queue_json_create(struct buf *out, const struct queue_options *options, const char *name,
                       const char *dead_letter_arn) {
    buf_char(out, '{');
    put_string(out, "QueueName", name);
    buf_str(out, ",\"Attributes\":{\"FifoQueue\":\"true\",\"ContentBasedDeduplication\":\"false\"");
    buf_printf(out, ",\"VisibilityTimeout\":\"%d\"", options->visibility_timeout_s);
    if (options->aws)
        buf_str(out,
                ",\"DeduplicationScope\":\"messageGroup\",\"FifoThroughputLimit\":\"perMessageGroupId\"");
    if (*dead_letter_arn)
        put_redrive_policy(out, dead_letter_arn, options->max_receive_count);
    buf_str(out, "}}");
}

void queue_json_redrive(struct buf *out, const char *url, const char *dead_letter_arn,
                        int max_receive_count) {
    buf_char(out, '{');
    put_string(out, "QueueUrl", url);
    buf_str(out, ",\"Attributes\":{");
    put_redrive_policy(out, dead_letter_arn, max_receive_count);
    buf_str(out, "}}");
}

static void put_attribute(struct buf *out, const char *name, const char *value) {
    if (!value || !*value)
        return;
    put_name(out, name);
    buf_str(out, "{\"DataType\":\"String\"");
    put_string(out, "StringValue", value);
    buf_char(out, '}');
}

/* Opens the list of entries, or closes the previous entry, and opens the next one. Its Id is its index. */
static void open_entry(struct buf *out, size_t index) {
    buf_printf(out, "%s{\"Id\":\"%zu\"", index == 0 ? ",\"Entries\":[" : "},", index);
}

void queue_json_send(struct buf *out, const char *url, const struct queue_entry entries[], size_t n) {
    buf_char(out, '{');
    put_string(out, "QueueUrl", url);
    for (size_t i = 0; i < n; i++) {
        open_entry(out, i);
        put_string(out, "MessageBody", entries[i].body);
        put_string(out, "MessageGroupId", entries[i].group_id);
        put_string(out, "MessageDeduplicationId", entries[i].deduplication_id);
        buf_str(out, ",\"MessageAttributes\":{");
        put_attribute(out, "correlationId", entries[i].correlation_id);
        put_attribute(out, "traceparent", entries[i].traceparent);
        put_attribute(out, "tracestate", entries[i].tracestate);
        put_attribute(out, "reason", entries[i].reason);
        buf_char(out, '}');
    }
    buf_str(out, "}]}");
}

void queue_json_receive(struct buf *out, const char *url, int wait_s, int visibility_timeout_s,
                        const struct uuid *attempt_id) {
    buf_char(out, '{');
    put_string(out, "QueueUrl", url);
    buf_printf(out, ",\"MaxNumberOfMessages\":%d,\"WaitTimeSeconds\":%d,\"VisibilityTimeout\":%d",
               QUEUE_BATCH, wait_s, visibility_timeout_s);
    if (attempt_id) {
        buf_str(out, ",\"ReceiveRequestAttemptId\":");
        json_append_uuid(out, attempt_id);
    }
    /* The first is the older name of the second: some servers know only one of them. */
    buf_str(out, ",\"AttributeNames\":[\"All\"],\"MessageSystemAttributeNames\":[\"All\"]"
                 ",\"MessageAttributeNames\":[\"All\"]}");
}

void queue_json_receipts(struct buf *out, const char *url, const struct queue_message *const messages[],
                         const int seconds[], size_t n) {
    buf_char(out, '{');
    put_string(out, "QueueUrl", url);
    for (size_t i = 0; i < n; i++) {
        open_entry(out, i);
        put_string(out, "ReceiptHandle", messages[i]->receipt);
        if (seconds)
            buf_printf(out, ",\"VisibilityTimeout\":%d", seconds[i]);
    }
    buf_str(out, "}]}");
}

/* Copies a string that fits; false when it is missing or too long. */
static bool copy_member(const json_t *object, const char *name, char *out, size_t size) {
    const json_t *text = json_object_get(object, name);
    if (!json_is_string(text) || json_string_length(text) >= size)
        return false;
    memcpy(out, json_string_value(text), json_string_length(text) + 1);
    return true;
}

bool queue_json_read_url(const json_t *answer, char url[static QUEUE_URL_SIZE]) {
    return copy_member(answer, "QueueUrl", url, QUEUE_URL_SIZE) && *url;
}

/* A number, or one as text as older queues have it. */
static bool read_receive_count(const json_t *value, int *out) {
    const char *text = json_string_value(value);
    long count = text ? strtol(text, NULL, 10) : (long)json_integer_value(value);
    *out = count >= 1 && count <= MAX_RECEIVE_COUNT ? (int)count : 0;
    return *out > 0;
}

bool queue_json_read_attributes(const json_t *answer, struct queue_attributes *out) {
    *out = (struct queue_attributes){0};
    const json_t *attributes = json_object_get(answer, "Attributes");
    const char *fifo = json_member_string(attributes, "FifoQueue");
    out->fifo = fifo && strcmp(fifo, "true") == 0;
    if (!copy_member(attributes, "QueueArn", out->arn, sizeof out->arn))
        return false;
    const char *policy_text = json_member_string(attributes, "RedrivePolicy");
    if (!policy_text || !*policy_text)
        return true;
    char reason[JSON_ERROR_SIZE];
    json_t *policy = json_parse_object(policy_text, strlen(policy_text), reason);
    bool ok = copy_member(policy, "deadLetterTargetArn", out->dead_letter_arn, sizeof out->dead_letter_arn) &&
              read_receive_count(json_object_get(policy, "maxReceiveCount"), &out->max_receive_count);
    json_decref(policy);
    return ok;
}

/* A decimal attribute, clamped to [least, most]; least when it is missing or not a number. */
static int64_t read_number(const json_t *attributes, const char *name, int64_t least, int64_t most) {
    const char *text = json_member_string(attributes, name);
    int64_t value = text ? strtoll(text, NULL, 10) : least;
    return value < least ? least : value > most ? most : value;
}

bool queue_json_read_counts(const json_t *answer, struct queue_counts *out) {
    const json_t *attributes = json_object_get(answer, "Attributes");
    out->visible = read_number(attributes, "ApproximateNumberOfMessages", -1, MAX_DEPTH);
    out->hidden = read_number(attributes, "ApproximateNumberOfMessagesNotVisible", -1, MAX_DEPTH);
    out->delayed = read_number(attributes, "ApproximateNumberOfMessagesDelayed", 0, MAX_DEPTH);
    return out->visible >= 0 && out->hidden >= 0;
}

/* Code and message of a Failed entry. */
static void describe_failure(const json_t *failure, char words[static QUEUE_ERROR_SIZE]) {
    const char *code = json_member_string(failure, "Code");
    const char *message = json_member_string(failure, "Message");
    snprintf(words, QUEUE_ERROR_SIZE, "%s: %s", code ? code : "no code", message ? message : "no message");
}

/* The MD5 detects damage in transit. A missing one is accepted. */
static bool md5_matches(const char *text, size_t len, const char *expected) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned digest_len = 0;
    if (!expected)
        return true;
    if (EVP_Digest(text, len, digest, &digest_len, EVP_md5(), NULL) != 1)
        return true; /* the system forbids MD5 */
    hex_encode(digest, digest_len, hex);
    return strcmp(hex, expected) == 0;
}

/* The index of the entry that an element of Successful or Failed describes. False when there is none. */
static bool read_entry_id(const json_t *element, size_t n, size_t *index) {
    const char *id = json_member_string(element, "Id");
    if (!id || id[0] < '0' || id[0] > '9' || id[1] != '\0' || (size_t)(id[0] - '0') >= n)
        return false;
    *index = (size_t)(id[0] - '0');
    return true;
}

bool queue_json_read_sent(const json_t *answer, struct queue_entry entries[], size_t n,
                          char words[static QUEUE_ERROR_SIZE]) {
    const json_t *sent = json_object_get(answer, "Successful");
    const json_t *failed = json_object_get(answer, "Failed");
    if (!json_is_array(sent) && !json_is_array(failed)) {
        snprintf(words, QUEUE_ERROR_SIZE, "the response names no entry");
        return false;
    }
    size_t i, k;
    const json_t *element;
    json_array_foreach(sent, i, element) {
        if (!read_entry_id(element, n, &k))
            continue;
        const char *md5 = json_member_string(element, "MD5OfMessageBody");
        (void)copy_member(element, "MessageId", entries[k].id, sizeof entries[k].id);
        entries[k].accepted = md5_matches(entries[k].body, strlen(entries[k].body), md5);
        if (!entries[k].accepted)
            snprintf(words, QUEUE_ERROR_SIZE, "the server's MD5 of the body differs");
    }
    json_array_foreach(failed, i, element) {
        if (!read_entry_id(element, n, &k))
            continue;
        entries[k].accepted = false;
        entries[k].refused = json_is_true(json_object_get(element, "SenderFault"));
        describe_failure(element, words);
    }
    return true;
}

/* An attribute of fewer than size bytes; "" when there is none. */
static const char *read_attribute(const json_t *item, const char *name, size_t size) {
    const json_t *attribute = json_object_get(json_object_get(item, "MessageAttributes"), name);
    const char *text = json_member_string(attribute, "StringValue");
    return text && strlen(text) < size ? text : "";
}

/* Sets as much of m as there is. False, with the reason in words, when the message cannot be given out. */
static bool read_message(const json_t *item, struct queue_message *m, char words[static QUEUE_ERROR_SIZE]) {
    const json_t *body = json_object_get(item, "Body");
    const json_t *attributes = json_object_get(item, "Attributes");
    *m = (struct queue_message){
        .id = json_member_string(item, "MessageId"),
        .receipt = json_member_string(item, "ReceiptHandle"),
        .body = json_string_value(body),
        .body_len = json_string_length(body),
        .group_id = json_member_string(attributes, "MessageGroupId"),
        .correlation_id = read_attribute(item, "correlationId", QUEUE_CORRELATION_SIZE),
        .traceparent = read_attribute(item, "traceparent", QUEUE_CORRELATION_SIZE),
        .tracestate = read_attribute(item, "tracestate", TRACESTATE_SIZE),
        .receive_count = (unsigned)read_number(attributes, "ApproximateReceiveCount", 1, MAX_RECEIVE_COUNT),
        .sent_ms = read_number(attributes, "SentTimestamp", 0, INT64_MAX),
    };
    if (!m->id || !m->receipt || !m->body || !m->group_id) {
        snprintf(words, QUEUE_ERROR_SIZE, "skipped a message without id, receipt, body or group");
        return false;
    }
    if (!md5_matches(m->body, m->body_len, json_member_string(item, "MD5OfBody"))) {
        snprintf(words, QUEUE_ERROR_SIZE, "skipped message %.64s: its body does not match its MD5", m->id);
        return false;
    }
    return true;
}

bool queue_json_read_received(json_t *answer, struct queue_batch *batch,
                              char words[static QUEUE_ERROR_SIZE]) {
    const json_t *list = json_object_get(answer, "Messages");
    if (list && !json_is_null(list) && !json_is_array(list)) {
        snprintf(words, QUEUE_ERROR_SIZE, "Messages is not a list");
        return false;
    }
    if (json_array_size(list) > QUEUE_BATCH) {
        snprintf(words, QUEUE_ERROR_SIZE, "received more messages than requested");
        return false;
    }
    const char *left[QUEUE_BATCH]; /* groups of the skipped messages: nothing may overtake those */
    size_t left_count = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct queue_message *m = &batch->messages[batch->count];
        bool good = read_message(item, m, words);
        for (size_t k = 0; good && k < left_count; k++)
            good = strcmp(left[k], m->group_id) != 0;
        if (good)
            batch->count++;
        else
            left[left_count++] = m->group_id ? m->group_id : "";
    }
    batch->storage = json_incref(answer);
    return true;
}

void queue_json_read_failures(const json_t *answer, size_t n, bool again[],
                              char words[static QUEUE_ERROR_SIZE]) {
    size_t i, entry;
    const json_t *failure;
    json_array_foreach(json_object_get(answer, "Failed"), i, failure) {
        bool senders_fault = json_is_true(json_object_get(failure, "SenderFault"));
        if (again && !senders_fault && read_entry_id(failure, n, &entry))
            again[entry] = true;
        else
            describe_failure(failure, words);
    }
}

void queue_json_read_error(const json_t *answer, char refusal[static QUEUE_REFUSAL_SIZE],
                           char words[static QUEUE_ERROR_SIZE]) {
    const char *type = json_member_string(answer, "__type");
    const char *message = json_member_string(answer, "message");
    if (!message)
        message = json_member_string(answer, "Message");
    const char *hash = type ? strrchr(type, '#') : NULL;
    snprintf(refusal, QUEUE_REFUSAL_SIZE, "%s", hash ? hash + 1 : type ? type : "");
    snprintf(words, QUEUE_ERROR_SIZE, "%s: %s", *refusal ? refusal : "no type",
             message ? message : "no message");
}
