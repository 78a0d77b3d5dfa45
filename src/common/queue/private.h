/* What the two halves of the queue client share: exchange.c, which speaks HTTP, and queue.c, which speaks SQS. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/retry_budget.h"
#include "common/metrics/metrics.h"
#include "common/queue/queue.h"
#include "json.h"

#include <jansson.h>
#include <stdatomic.h>

struct queue {
    struct queue_options options;
    void *multi, *easy; /* libcurl's handles */
    struct buf answer;
    char (*urls)[QUEUE_URL_SIZE];         /* of the shards; "": not ensured yet */
    char dead_letter_url[QUEUE_URL_SIZE]; /* known when that of any shard is */
    char error[QUEUE_ERROR_SIZE];
    char refusal[QUEUE_REFUSAL_SIZE]; /* type of the last error answer */
    bool is_signed;                   /* the last request */
    bool well;                        /* the server, as of the last answer, also when it refused the call */
    struct retry_budget budget;
    struct uuid attempt_id; /* of the receive, until its answer has come */
    bool attempted;
    int max_receive_count; /* of the queue that was found; 0: not known yet */
    atomic_bool interrupted;
    struct metric_memo durations; /* of calls that succeeded */
    struct metric_series *sent, *consumed;
};

/* Makes one call. The server is asked to wait at most wait_s seconds. On QUEUE_OK the caller owns *answer. */
enum queue_status queue_exchange(struct queue *q, const char *action, const struct buf *body, int wait_s,
                                 json_t **answer) MUST_CHECK;

/* Shards of the queue, 1 at least. */
unsigned queue_shard_count(const struct queue *q);

/* What a shard is called. */
void queue_shard_name(const struct queue *q, unsigned shard, char out[static QUEUE_NAME_SIZE]);

/* Stores the error message for queue_error. Returns status. */
enum queue_status queue_fail(struct queue *q, enum queue_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
