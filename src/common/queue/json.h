/* The AWS JSON 1.0 protocol of SQS: writes the bodies of requests and reads the answers. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/uuid.h"
#include "common/queue/queue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QUEUE_ARN_SIZE 256
#define QUEUE_REFUSAL_SIZE 64

/* Bodies of requests, appended to out. */
void queue_json_name(struct buf *out, const char *name);      /* GetQueueUrl */
void queue_json_attributes(struct buf *out, const char *url); /* GetQueueAttributes */
/* CreateQueue, SetQueueAttributes; an arn of "" means no redrive policy. */
void queue_json_create(struct buf *out, const struct queue_options *options, const char *name,
                       const char *dead_letter_arn);
void queue_json_redrive(struct buf *out, const char *url, const char *dead_letter_arn, int max_receive_count);
/* SendMessageBatch; ReceiveMessage, with NULL for no attempt id */
void queue_json_send(struct buf *out, const char *url, const struct queue_entry entries[], size_t n);
void queue_json_receive(struct buf *out, const char *url, int wait_s, int visibility_timeout_s,
                        const struct uuid *attempt_id);
/* DeleteMessageBatch, or with seconds ChangeMessageVisibilityBatch */
void queue_json_receipts(struct buf *out, const char *url, const struct queue_message *const messages[],
                         const int seconds[], size_t n);

struct queue_attributes {
    bool fifo;
    char arn[QUEUE_ARN_SIZE];
    char dead_letter_arn[QUEUE_ARN_SIZE]; /* "": no redrive policy */
    int max_receive_count;                /* of the redrive policy */
};

/* Answers. False when the answer is not valid. words is an error message for the log. It is set when something
 * failed, even if only one entry of a batch did, and is otherwise left alone. */
bool queue_json_read_url(const json_t *answer, char url[static QUEUE_URL_SIZE]) MUST_CHECK;
bool queue_json_read_attributes(const json_t *answer, struct queue_attributes *out) MUST_CHECK;
/* All messages: visible, hidden, and (where the server knows that) delayed ones. */
bool queue_json_read_counts(const json_t *answer, struct queue_counts *out) MUST_CHECK;
bool queue_json_read_sent(const json_t *answer, struct queue_entry entries[], size_t n,
                          char words[static QUEUE_ERROR_SIZE]) MUST_CHECK;
/* The batch shares the answer. A damaged message is skipped, and so are the later messages of its group. */
bool queue_json_read_received(json_t *answer, struct queue_batch *batch,
                              char words[static QUEUE_ERROR_SIZE]) MUST_CHECK;
/* The failures of a batch of n entries. Those that may be retried are marked in again, the others are described in
 * words. When again is NULL, all are described. */
void queue_json_read_failures(const json_t *answer, size_t n, bool again[],
                              char words[static QUEUE_ERROR_SIZE]);
/* An error answer (NULL: it was not JSON): its type without the namespace ("QueueDoesNotExist"), and a message. */
void queue_json_read_error(const json_t *answer, char refusal[static QUEUE_REFUSAL_SIZE],
                           char words[static QUEUE_ERROR_SIZE]);
