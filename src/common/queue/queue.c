/* The SQS client's calls: ensuring that the queue exists, receiving, deleting, counting. */
#include "common/queue/queue.h"

#include "private.h"

#include <stdio.h>
#include <string.h>

enum { LATEST_S = 30 }; /* maximum of how late the answer to a receive may be */

bool queue_is_missing(const struct line *line) {
    return line->status == QUEUE_REFUSED && strcmp(line->refusal, "QueueDoesNotExist") == 0;
}

/* GetQueueUrl or CreateQueue: both answer with the URL. Frees body. */
static enum queue_status get_url(struct queue *q, const char *action, struct buf *body,
                                 char url[static QUEUE_URL_SIZE]) {
    json_t *answer = NULL;
    enum queue_status status = queue_exchange(q, action, body, 0, &answer);
    if (status == QUEUE_OK && !queue_json_read_url(answer, url))
        status = queue_fail(q, QUEUE_UNAVAILABLE, "%s: the response has no queue URL", action);
    json_decref(answer);
    buf_free(body);
    return status;
}

static enum queue_status find_or_create(struct queue *q, const char *name, const char *dead_letter_arn,
                                        char url[static QUEUE_URL_SIZE]) {
    struct buf find = {0}, create = {0};
    queue_json_name(&find, name);
    enum queue_status status = get_url(q, "GetQueueUrl", &find, url);
    if (!queue_is_missing(q->lines))
        return status;
    queue_json_create(&create, &q->options, name, dead_letter_arn);
    return get_url(q, "CreateQueue", &create, url);
}

static enum queue_status queue_describe(struct queue *q, const char *url, struct queue_attributes *out) {
    struct buf body = {0};
    json_t *answer = NULL;
    queue_json_attributes(&body, url);
    enum queue_status status = queue_exchange(q, "GetQueueAttributes", &body, 0, &answer);
    if (status == QUEUE_OK && !queue_json_read_attributes(answer, out))
        status = queue_fail(q, QUEUE_UNAVAILABLE, "GetQueueAttributes: invalid response");
    json_decref(answer);
    buf_free(&body);
    return status;
}

static enum queue_status set_redrive(struct queue *q, const char *url, const char *dead_letter_arn) {
    struct buf body = {0};
    json_t *answer = NULL;
    queue_json_redrive(&body, url, dead_letter_arn, q->options.max_receive_count);
    enum queue_status status = queue_exchange(q, "SetQueueAttributes", &body, 0, &answer);
    json_decref(answer);
    buf_free(&body);
    return status;
}

/* Ensures one queue, with a redrive policy unless dead_letter_arn is "". *found receives its attributes. */
static enum queue_status ensure_one(struct queue *q, const char *name, const char *dead_letter_arn,
                                    char url[static QUEUE_URL_SIZE], struct queue_attributes *found) {
    enum queue_status status = find_or_create(q, name, dead_letter_arn, url);
    if (status == QUEUE_OK)
        status = queue_describe(q, url, found);
    if (status != QUEUE_OK)
        return status;
    if (!found->fifo)
        return queue_fail(q, QUEUE_REFUSED, "queue %s is not a FIFO queue", name);
    if (!*dead_letter_arn || strcmp(found->dead_letter_arn, dead_letter_arn) == 0) {
        if (*dead_letter_arn)
            q->max_receive_count = found->max_receive_count;
        return QUEUE_OK;
    }
    if (*found->dead_letter_arn)
        return queue_fail(q, QUEUE_REFUSED, "queue %s has dead-letter queue %s, expected %s", name,
                          found->dead_letter_arn, dead_letter_arn);
    return set_redrive(q, url, dead_letter_arn);
}

/* Ensures the dead-letter queue and the shards from first to before end. */
static enum queue_status ensure_shards(struct queue *q, unsigned first, unsigned end) {
    char name[QUEUE_NAME_SIZE], url[QUEUE_URL_SIZE];
    struct queue_attributes dead_letters = {0}, found = {0};
    enum queue_status status = ensure_one(q, q->options.dead_letter_name, "", url, &dead_letters);
    if (status == QUEUE_OK)
        snprintf(q->dead_letter_url, sizeof q->dead_letter_url, "%s", url);
    for (unsigned i = first; status == QUEUE_OK && i < end; i++) {
        queue_shard_name(q, i, name);
        status = ensure_one(q, name, dead_letters.arn, url, &found);
        if (status == QUEUE_OK)
            snprintf(q->urls[i], sizeof q->urls[i], "%s", url);
    }
    return status;
}

enum queue_status queue_ensure(struct queue *q) {
    return ensure_shards(q, 0, queue_shard_count(q));
}

enum queue_status queue_ready(struct queue *q, unsigned shard) {
    return *q->urls[shard] ? QUEUE_OK : ensure_shards(q, shard, shard + 1);
}

/* The shard that the client receives from. */
static const char *queue_own_url(const struct queue *q) {
    return q->urls[q->options.shard];
}

/* A call about the ready queue. If the server lost the queue (a restart without storage), it is recreated under the
 * same URL, and the call is made again. Frees body. */
static enum queue_status queue_action(struct queue *q, const char *action, struct buf *body, int wait_s,
                                      json_t **answer) {
    enum queue_status status = queue_exchange(q, action, body, wait_s, answer);
    if (queue_is_missing(q->lines)) {
        status = queue_ensure(q);
        if (status == QUEUE_OK)
            status = queue_exchange(q, action, body, wait_s, answer);
    }
    buf_free(body);
    return status;
}

/* An answer that nobody waits for any more costs its messages a receive. It is of use for half of the time that they are
 * hidden. */
static int receive_limit_s(const struct queue *q, int wait_s) {
    int useful_s = q->options.visibility_timeout_s / 2;
    if (useful_s > LATEST_S)
        useful_s = LATEST_S;
    return useful_s > LINE_ANSWER_S ? wait_s + useful_s - LINE_ANSWER_S : wait_s;
}

enum queue_status queue_receive(struct queue *q, int wait_s, struct queue_batch *batch) {
    batch->count = 0;
    batch->storage = NULL;
    enum queue_status status = queue_ready(q, q->options.shard);
    if (status != QUEUE_OK)
        return status;
    struct buf body = {0};
    json_t *answer = NULL;
    if (!q->attempted)
        q->attempt_id = uuid_new();
    /* ElasticMQ keeps each id with its messages for 15 minutes, and looks at all of them in each receive. */
    queue_json_receive(&body, queue_own_url(q), wait_s, q->options.visibility_timeout_s,
                       q->options.aws ? &q->attempt_id : NULL);
    status = queue_action(q, "ReceiveMessage", &body, receive_limit_s(q, wait_s), &answer);
    q->attempted =
        status == QUEUE_UNAVAILABLE; /* the answer may be lost: asked again, the server repeats it */
    if (status == QUEUE_OK && !queue_json_read_received(answer, batch, q->error))
        status = QUEUE_UNAVAILABLE;
    metric_add(q->consumed, (int64_t)batch->count);
    json_decref(answer);
    return status;
}

void queue_batch_free(struct queue_batch *batch) {
    json_decref(batch->storage);
    batch->storage = NULL;
    batch->count = 0;
}

/* One call of queue_settle. Failed entries that may be retried are marked in again, unless that is NULL. The others
 * are described in words. */
static enum queue_status queue_settle_once(struct queue *q, const char *action,
                                           const struct queue_message *const messages[], const int seconds[],
                                           size_t n, bool again[], char words[static QUEUE_ERROR_SIZE]) {
    struct buf body = {0};
    json_t *answer = NULL;
    queue_json_receipts(&body, queue_own_url(q), messages, seconds, n);
    enum queue_status status = queue_action(q, action, &body, 0, &answer);
    if (status == QUEUE_OK)
        queue_json_read_failures(answer, n, again, words);
    json_decref(answer);
    return status;
}

/* DeleteMessageBatch and ChangeMessageVisibilityBatch. */
static enum queue_status queue_settle(struct queue *q, const char *action,
                                      const struct queue_message *const messages[], const int seconds[],
                                      size_t n) {
    bool again[QUEUE_BATCH] = {false};
    char words[QUEUE_ERROR_SIZE] = "";
    q->error[0] = '\0';
    if (n == 0)
        return QUEUE_OK;
    enum queue_status status = queue_ready(q, q->options.shard);
    if (status == QUEUE_OK)
        status = queue_settle_once(q, action, messages, seconds, n, again, words);
    for (size_t i = 0; i < n && status == QUEUE_OK; i++)
        if (again[i] && retry_budget_take(&q->budget))
            status = queue_settle_once(q, action, &messages[i], seconds ? &seconds[i] : NULL, 1, NULL, words);
        else if (again[i])
            snprintf(words, sizeof words, "retry budget is used up");
    return status == QUEUE_OK ? queue_fail(q, QUEUE_OK, "%s", words) : status;
}

enum queue_status queue_delete(struct queue *q, const struct queue_message *const messages[], size_t n) {
    return queue_settle(q, "DeleteMessageBatch", messages, NULL, n);
}

enum queue_status queue_set_visibility(struct queue *q, const struct queue_message *const messages[],
                                       const int seconds[], size_t n) {
    return queue_settle(q, "ChangeMessageVisibilityBatch", messages, seconds, n);
}

/* GetQueueAttributes; url is in q, where it is set once the shard is ready. On QUEUE_OK the caller owns *answer. */
static enum queue_status ask_attributes(struct queue *q, unsigned shard, const char *url, json_t **answer) {
    enum queue_status status = queue_ready(q, shard);
    if (status != QUEUE_OK)
        return status;
    struct buf body = {0};
    queue_json_attributes(&body, url);
    return queue_action(q, "GetQueueAttributes", &body, 0, answer);
}

enum queue_status queue_check(struct queue *q) {
    json_t *answer = NULL;
    struct queue_attributes found = {0};
    enum queue_status status = ask_attributes(q, q->options.shard, queue_own_url(q), &answer);
    if (status == QUEUE_OK && queue_json_read_attributes(answer, &found) && found.max_receive_count > 0)
        q->max_receive_count = found.max_receive_count;
    json_decref(answer);
    return status;
}

static enum queue_status count_one(struct queue *q, unsigned shard, const char *url,
                                   struct queue_counts *sum) {
    json_t *answer = NULL;
    struct queue_counts found;
    enum queue_status status = ask_attributes(q, shard, url, &answer);
    if (status == QUEUE_OK && !queue_json_read_counts(answer, &found))
        status =
            queue_fail(q, QUEUE_UNAVAILABLE, "GetQueueAttributes: the response has no number of messages");
    json_decref(answer);
    if (status != QUEUE_OK)
        return status;
    sum->visible += found.visible;
    sum->hidden += found.hidden;
    sum->delayed += found.delayed;
    return QUEUE_OK;
}

enum queue_status queue_count(struct queue *q, bool dead_letters, struct queue_counts *out) {
    *out = (struct queue_counts){0};
    if (dead_letters)
        return count_one(q, q->options.shard, q->dead_letter_url, out);
    enum queue_status status = QUEUE_OK;
    for (unsigned i = 0; status == QUEUE_OK && i < queue_shard_count(q); i++)
        status = count_one(q, i, q->urls[i], out);
    return status;
}

int queue_max_receive_count(const struct queue *q) {
    return q->max_receive_count ? q->max_receive_count : q->options.max_receive_count;
}
