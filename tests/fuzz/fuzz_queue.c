/* Fuzz target: SQS's answers. What is given out as a message is whole and in its order; entries are accepted
 * or refused, never both; and what we send is JSON that says what was meant, whatever the texts in it. */
#include "fuzz.h"

#include "common/base/json.h"
#include "common/queue/json.h"

#define URL "http://localhost:9324/000000000000/orders-queue.fifo"

static void check_words(const char *words) {
    HOLDS(strnlen(words, QUEUE_ERROR_SIZE) < QUEUE_ERROR_SIZE);
}

/* Each message is one of the answer's, whole, behind those before it, and none of its group was left out
 * before it: the index of the first message of the answer it can be, counted from 1. */
static size_t check_message(const json_t *list, const struct queue_message *m, size_t after) {
    HOLDS(m->id && m->receipt && m->body && m->group_id && strlen(m->body) == m->body_len);
    HOLDS(m->receive_count >= 1 && m->sent_ms >= 0);
    HOLDS(strlen(m->correlation_id) < QUEUE_CORRELATION_SIZE &&
          strlen(m->traceparent) < QUEUE_CORRELATION_SIZE);
    const json_t *item;
    size_t i = after;
    while ((item = json_array_get(list, i)) != NULL && json_member_string(item, "Body") != m->body) {
        const char *group = json_member_string(json_object_get(item, "Attributes"), "MessageGroupId");
        HOLDS(!same_text(group, m->group_id));
        i++;
    }
    HOLDS(item);
    return i + 1;
}

static void read_received(json_t *answer) {
    struct queue_batch batch = {.count = 0};
    char words[QUEUE_ERROR_SIZE] = "";
    const json_t *list = json_object_get(answer, "Messages");
    if (queue_json_read_received(answer, &batch, words)) {
        HOLDS(batch.count <= json_array_size(list));
        HOLDS(batch.count == json_array_size(list) || *words);
        for (size_t i = 0, after = 0; i < batch.count; i++)
            after = check_message(list, &batch.messages[i], after);
    } else {
        HOLDS(batch.count == 0 && *words);
    }
    check_words(words);
    queue_batch_free(&batch);
}

static void read_sent(const json_t *answer) {
    struct queue_entry entries[3] = {{.body = "ok"}, {.body = ""}, {.body = "{\"a\":1}"}};
    char words[QUEUE_ERROR_SIZE] = "";
    bool understood = queue_json_read_sent(answer, entries, 3, words);
    for (size_t i = 0; i < 3; i++) {
        HOLDS(!(entries[i].accepted && entries[i].refused));
        HOLDS(understood || !(entries[i].accepted || entries[i].refused));
    }
    HOLDS(understood || *words);
    check_words(words);
}

static void read_failures(const json_t *answer) {
    bool again[4] = {false, false, false, true}; /* the last is not an entry */
    char words[QUEUE_ERROR_SIZE] = "";
    queue_json_read_failures(answer, 3, again, words);
    HOLDS(again[3]);
    bool failed = json_array_size(json_object_get(answer, "Failed")) > 0;
    HOLDS(failed == (again[0] || again[1] || again[2] || *words));
    check_words(words);
}

static void read_others(const json_t *answer) {
    char url[QUEUE_URL_SIZE], refusal[QUEUE_REFUSAL_SIZE], words[QUEUE_ERROR_SIZE];
    struct queue_attributes attributes;
    if (queue_json_read_url(answer, url))
        HOLDS(*url && same_text(url, json_member_string(answer, "QueueUrl")));
    if (queue_json_read_attributes(answer, &attributes))
        HOLDS(
            same_text(attributes.arn, json_member_string(json_object_get(answer, "Attributes"), "QueueArn")));
    queue_json_read_error(answer, refusal, words);
    HOLDS(strlen(refusal) < QUEUE_REFUSAL_SIZE && *words);
    check_words(words);
}

static bool is_utf8(const char *text) {
    json_t *value = json_string(text);
    json_decref(value);
    return value;
}

/* text, which is UTF-8, is sent and comes back as it was. */
static void check_sending(const char *text) {
    const struct queue_entry entry = {.body = text,
                                      .group_id = text,
                                      .deduplication_id = text,
                                      .correlation_id = text,
                                      .traceparent = "",
                                      .reason = text};
    const struct queue_message message = {.receipt = text};
    const struct queue_message *messages[] = {&message, &message};
    const int seconds[] = {0, 43200};
    struct buf body = {0};
    queue_json_send(&body, URL, &entry, 1);
    json_t *sent = parsed(body.data, body.len);
    const json_t *first = json_array_get(json_object_get(sent, "Entries"), 0);
    const json_t *attributes = json_object_get(first, "MessageAttributes");
    HOLDS(same_text(json_member_string(first, "MessageBody"), text));
    HOLDS(same_text(json_member_string(first, "MessageGroupId"), text));
    HOLDS(json_object_size(attributes) == (*text ? 2 : 0));
    HOLDS(!*text ||
          same_text(json_member_string(json_object_get(attributes, "reason"), "StringValue"), text));
    json_decref(sent);

    buf_clear(&body);
    queue_json_receipts(&body, URL, messages, seconds, 2);
    sent = parsed(body.data, body.len);
    HOLDS(json_array_size(json_object_get(sent, "Entries")) == 2);
    json_decref(sent);
    buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char reason[JSON_ERROR_SIZE];
    json_t *answer = json_parse_object((const char *)data, size, reason);
    read_others(answer); /* also of what is no JSON */
    if (answer) {
        read_received(answer);
        read_sent(answer);
        read_failures(answer);
    }
    json_decref(answer);
    char *text = text_of(data, size);
    if (is_utf8(text))
        check_sending(text);
    free(text);
    return 0;
}
