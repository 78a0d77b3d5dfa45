/* What the halves of the queue client share: exchange.c and line.c, which speak HTTP, queue.c and send.c, which speak SQS. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/retry_budget.h"
#include "common/metrics/metrics.h"
#include "common/queue/queue.h"
#include "json.h"
#include "line.h"

#include <jansson.h>
#include <stdatomic.h>

struct queue {
    struct queue_options options;
    void *multi; /* libcurl's handle for all lines */
    struct line *lines;
    char (*urls)[QUEUE_URL_SIZE];         /* of the shards; "": not ensured yet */
    char dead_letter_url[QUEUE_URL_SIZE]; /* known when that of any shard is */
    char error[QUEUE_ERROR_SIZE];
    struct retry_budget budget;
    struct uuid attempt_id; /* of the receive, until its answer has come */
    bool attempted;
    int max_receive_count; /* of the queue that was found; 0: not known yet */
    atomic_bool interrupted;
    struct metric_memo durations; /* of calls that succeeded */
    struct metric_series *sent, *consumed;
};

/* Makes one call, on the first line. It may take wait_s seconds longer than other calls. On QUEUE_OK the caller
 * owns *answer. */
enum queue_status queue_exchange(struct queue *q, const char *action, const struct buf *body, int wait_s,
                                 json_t **answer) MUST_CHECK;

/* Makes the calls of 1..queue_line_count lines at once, and waits until all have ended: for as long as one call takes. Returns
 * how many were made, of the first ones. The breaker may let no more through, but the first one has an outcome in any case. */
size_t queue_exchange_lines(struct queue *q, struct line *const lines[], size_t n);

/* Calls at a time, 1 at least. */
unsigned queue_line_count(const struct queue *q);

/* Whether the call on this line was refused because the server does not know the queue. */
bool queue_is_missing(const struct line *line);

/* Ensures the shard unless its URL is already known. */
enum queue_status queue_ready(struct queue *q, unsigned shard) MUST_CHECK;

/* Shards of the queue, 1 at least. */
unsigned queue_shard_count(const struct queue *q);

/* What a shard is called. */
void queue_shard_name(const struct queue *q, unsigned shard, char out[static QUEUE_NAME_SIZE]);

/* Stores the error message for queue_error. Returns status. */
enum queue_status queue_fail(struct queue *q, enum queue_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
