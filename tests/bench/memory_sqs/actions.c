/* The actions of SQS that the daemons use. */
#include "actions.h"

#include "common/base/digest.h"
#include "common/base/json_write.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 10,
    OK = 200,
    BAD = 400,
    BUSY = 503,
    MAX_WAIT_S = 20,
    MAX_VISIBILITY_S = 43200,
    MAX_RECEIVES = 1000000
};
#define ARN "arn:aws:sqs:us-east-1:000000000000:"

struct call {
    struct store *store;
    const char *base;
    const json_t *body;
    int64_t now_ms;
    struct buf *out;
    struct wait *wait;
};

typedef int action_fn(struct call *call, struct queue *queue);

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *name, int64_t most, int64_t otherwise) {
    const json_t *value = json_object_get(object, name);
    int64_t number =
        json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : json_integer_value(value);
    if (!value)
        number = otherwise;
    return number < 0 ? 0 : number > most ? most : number;
}

static int refuse(struct call *call, int status, const char *type) {
    buf_clear(call->out);
    buf_printf(call->out, "{\"__type\":\"com.amazonaws.sqs#%s\",\"message\":\"memory_sqs says so\"}", type);
    return status;
}

static int answer_url(struct call *call, const struct queue *queue) {
    buf_printf(call->out, "{\"QueueUrl\":\"%s/000000000000/%s\"}", call->base, queue->name);
    return OK;
}

/* The queue at the end of a URL or of an ARN. */
static struct queue *queue_at(struct store *store, const char *path, char end) {
    const char *slash = strrchr(path, end);
    return store_find(store, slash ? slash + 1 : path);
}

/* Those of CreateQueue and SetQueueAttributes. */
static int set_attributes(struct call *call, struct queue *queue) {
    const json_t *attributes = json_object_get(call->body, "Attributes");
    queue->visibility_s =
        (int)number_of(attributes, "VisibilityTimeout", MAX_VISIBILITY_S, queue->visibility_s);
    const char *text = text_of(attributes, "RedrivePolicy");
    if (!*text)
        return OK;
    json_t *policy = json_loads(text, 0, NULL);
    queue->dead_letters = queue_at(call->store, text_of(policy, "deadLetterTargetArn"), ':');
    queue->max_receives = (int)number_of(policy, "maxReceiveCount", MAX_RECEIVES, 1);
    json_decref(policy);
    return queue->dead_letters ? OK : refuse(call, BAD, "InvalidAttributeValue");
}

static int create_queue(struct call *call, struct queue *unused) {
    (void)unused;
    const char *name = text_of(call->body, "QueueName");
    struct queue *queue = store_find(call->store, name);
    if (queue)
        return answer_url(call, queue);
    size_t len = strlen(name);
    if (len <= 5 || len >= STORE_NAME_SIZE || strcmp(name + len - 5, ".fifo") != 0 || strpbrk(name, "/:\"\\"))
        return refuse(call, BAD, "InvalidAttributeValue");
    queue = store_create(call->store, name);
    if (!queue)
        return refuse(call, BUSY, "OverLimit");
    int status = set_attributes(call, queue);
    if (status == OK)
        return answer_url(call, queue);
    store_drop(call->store, queue);
    return status;
}

static int get_queue_url(struct call *call, struct queue *unused) {
    (void)unused;
    const struct queue *queue = store_find(call->store, text_of(call->body, "QueueName"));
    return queue ? answer_url(call, queue) : refuse(call, BAD, "QueueDoesNotExist");
}

static int list_queues(struct call *call, struct queue *unused) {
    (void)unused;
    const char *prefix = text_of(call->body, "QueueNamePrefix");
    size_t n = 0;
    buf_str(call->out, "{\"QueueUrls\":[");
    for (size_t i = 0; i < STORE_QUEUES; i++) {
        const struct queue *queue = store_queue(call->store, i);
        if (queue && strncmp(queue->name, prefix, strlen(prefix)) == 0)
            buf_printf(call->out, "%s\"%s/000000000000/%s\"", n++ ? "," : "", call->base, queue->name);
    }
    buf_str(call->out, "]}");
    return OK;
}

static int delete_queue(struct call *call, struct queue *queue) {
    store_drop(call->store, queue);
    return OK;
}

static int get_attributes(struct call *call, struct queue *queue) {
    struct buf *out = call->out;
    buf_printf(out,
               "{\"Attributes\":{\"QueueArn\":\"" ARN
               "%s\",\"FifoQueue\":\"true\",\"VisibilityTimeout\":\"%d\","
               "\"ApproximateNumberOfMessages\":\"%zu\",\"ApproximateNumberOfMessagesNotVisible\":\"%zu\","
               "\"ApproximateNumberOfMessagesDelayed\":\"0\"",
               queue->name, queue->visibility_s, queue->count - queue->hidden, queue->hidden);
    if (queue->dead_letters)
        buf_printf(out,
                   ",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" ARN
                   "%s\\\",\\\"maxReceiveCount\\\":%d}\"",
                   queue->dead_letters->name, queue->max_receives);
    buf_str(out, "}}");
    return OK;
}

static void write_md5(const char *text, char hex[static 33]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    hex[0] = '\0';
    if (EVP_Digest(text, strlen(text), digest, &len, EVP_md5(), NULL) == 1 && len == 16)
        hex_encode(digest, len, hex);
}

/* 0 when there is no room. */
static uint64_t send_entry(struct call *call, struct queue *queue, const json_t *entry, char md5[static 33]) {
    const json_t *attributes = json_object_get(entry, "MessageAttributes");
    char *attributes_text = attributes ? json_dumps(attributes, JSON_COMPACT) : NULL;
    struct buf body = {0};
    json_append_text(&body, text_of(entry, "MessageBody"));
    write_md5(text_of(entry, "MessageBody"), md5);
    struct draft draft = {.body = body.data,
                          .attributes = attributes_text ? attributes_text : "{}",
                          .md5 = md5,
                          .group_id = text_of(entry, "MessageGroupId"),
                          .deduplication_id = text_of(entry, "MessageDeduplicationId")};
    uint64_t id = body.failed ? 0 : store_send(call->store, queue, &draft, call->now_ms);
    free(attributes_text);
    buf_free(&body);
    return id;
}

static bool is_good_entry(const json_t *entry) {
    size_t group = strlen(text_of(entry, "MessageGroupId"));
    size_t known = strlen(text_of(entry, "MessageDeduplicationId"));
    return *text_of(entry, "MessageBody") && group > 0 && group <= 128 && known > 0 && known <= 128;
}

/* Writes {"Successful":[...],"Failed":[...]}. what does the work for an entry: it writes what follows the Id, or says why not. */
static int run_batch(struct call *call, struct queue *queue,
                     const char *(*what)(struct call *, struct queue *, const json_t *, struct buf *)) {
    const json_t *entries = json_object_get(call->body, "Entries"), *entry;
    struct buf failed = {0};
    size_t i, good = 0;
    if (json_array_size(entries) < 1 || json_array_size(entries) > BATCH)
        return refuse(call, BAD, "TooManyEntriesInBatchRequest");
    buf_str(call->out, "{\"Successful\":[");
    json_array_foreach(entries, i, entry) {
        struct buf words = {0};
        const char *why = what(call, queue, entry, &words);
        struct buf *out = why ? &failed : call->out;
        buf_str(out, why ? (failed.len ? ",{\"Id\":" : "{\"Id\":") : good++ ? ",{\"Id\":" : "{\"Id\":");
        json_append_text(out, text_of(entry, "Id"));
        if (why)
            buf_printf(out, ",\"Code\":\"%s\",\"SenderFault\":%s}", why,
                       strcmp(why, "OverLimit") ? "true" : "false");
        else
            buf_printf(out, "%s}", words.len ? words.data : "");
        buf_free(&words);
    }
    buf_printf(call->out, "],\"Failed\":[%s]}", failed.len ? failed.data : "");
    buf_free(&failed);
    return OK;
}

static const char *send_one(struct call *call, struct queue *queue, const json_t *entry, struct buf *words) {
    char md5[33];
    if (!is_good_entry(entry))
        return "InvalidParameterValue";
    uint64_t id = send_entry(call, queue, entry, md5);
    buf_printf(words, ",\"MessageId\":\"%016" PRIx64 "\",\"MD5OfMessageBody\":\"%s\"", id, md5);
    return id ? NULL : "OverLimit";
}

static const char *delete_one(struct call *call, struct queue *queue, const json_t *entry,
                              struct buf *words) {
    (void)words;
    return store_delete(call->store, queue, text_of(entry, "ReceiptHandle")) ? NULL
                                                                             : "ReceiptHandleIsInvalid";
}

static const char *hide_one(struct call *call, struct queue *queue, const json_t *entry, struct buf *words) {
    (void)words;
    int64_t ms = 1000 * number_of(entry, "VisibilityTimeout", MAX_VISIBILITY_S, 0);
    bool known = store_hide(call->store, queue, text_of(entry, "ReceiptHandle"), ms, call->now_ms);
    return known ? NULL : "ReceiptHandleIsInvalid";
}

static int send_batch(struct call *call, struct queue *queue) {
    return run_batch(call, queue, send_one);
}

static int delete_batch(struct call *call, struct queue *queue) {
    return run_batch(call, queue, delete_one);
}

static int hide_batch(struct call *call, struct queue *queue) {
    return run_batch(call, queue, hide_one);
}

static void write_received(const struct store *store, const struct message *m, struct buf *out) {
    char receipt[STORE_RECEIPT_SIZE];
    store_receipt(store, m, receipt);
    buf_printf(out,
               "{\"MessageId\":\"%016" PRIx64 "\",\"ReceiptHandle\":\"%s\",\"MD5OfBody\":\"%s\",\"Body\":",
               m->id, receipt, m->md5);
    buf_str(out, m->body);
    buf_printf(out,
               ",\"Attributes\":{\"ApproximateReceiveCount\":\"%u\",\"SentTimestamp\":\"%" PRId64
               "\",\"ApproximateFirstReceiveTimestamp\":\"%" PRId64 "\",\"MessageGroupId\":",
               m->receives, m->sent_ms, m->first_ms);
    json_append_text(out, m->group->id);
    buf_str(out, ",\"MessageDeduplicationId\":");
    json_append_text(out, m->deduplication_id);
    buf_printf(out, "},\"MessageAttributes\":%s}", m->attributes);
}

bool action_retry(struct store *store, const struct wait *wait, int64_t now_ms, struct buf *out) {
    struct message *messages[BATCH];
    size_t n = store_receive(store, wait->queue, wait->visibility_ms, now_ms, messages, wait->most);
    buf_str(out, "{\"Messages\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_received(store, messages[i], out);
    }
    buf_str(out, "]}");
    return n > 0;
}

static int receive(struct call *call, struct queue *queue) {
    int64_t wait_s = number_of(call->body, "WaitTimeSeconds", MAX_WAIT_S, 0);
    struct wait wait = {.queue = queue,
                        .until_ms = call->now_ms + 1000 * wait_s,
                        .most = (size_t)number_of(call->body, "MaxNumberOfMessages", BATCH, 1),
                        .visibility_ms = 1000 * number_of(call->body, "VisibilityTimeout", MAX_VISIBILITY_S,
                                                          queue->visibility_s)};
    if (!action_retry(call->store, &wait, call->now_ms, call->out) && wait_s > 0)
        *call->wait = wait;
    return OK;
}

static const struct {
    const char *name;
    action_fn *run;
    bool of_queue; /* its body names one that must exist */
} actions[] = {
    {"SendMessageBatch", send_batch, true},       {"ReceiveMessage", receive, true},
    {"DeleteMessageBatch", delete_batch, true},   {"ChangeMessageVisibilityBatch", hide_batch, true},
    {"GetQueueAttributes", get_attributes, true}, {"SetQueueAttributes", set_attributes, true},
    {"DeleteQueue", delete_queue, true},          {"CreateQueue", create_queue, false},
    {"GetQueueUrl", get_queue_url, false},        {"ListQueues", list_queues, false},
};

static int dispatch(struct call *call, const char *action) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, action) != 0)
            continue;
        struct queue *queue =
            actions[i].of_queue ? queue_at(call->store, text_of(call->body, "QueueUrl"), '/') : NULL;
        if (actions[i].of_queue && !queue)
            return refuse(call, BAD, "QueueDoesNotExist");
        return actions[i].run(call, queue);
    }
    return refuse(call, BAD, "InvalidAction");
}

int action_run(struct store *store, const char *action, const char *base, const char *body, size_t len,
               int64_t now_ms, struct buf *out, struct wait *wait) {
    json_t *root = json_loadb(body, len, 0, NULL);
    struct call call = {
        .store = store, .base = base, .body = root, .now_ms = now_ms, .out = out, .wait = wait};
    *wait = (struct wait){0};
    int status = json_is_object(root) ? dispatch(&call, action) : refuse(&call, BAD, "MalformedRequest");
    json_decref(root);
    return status;
}
