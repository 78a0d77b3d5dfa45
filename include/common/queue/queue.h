/* SQS: one client of one FIFO queue, over libcurl, in the AWS JSON 1.0 protocol.
 *
 * A queue may be spread over several of the server, its shards. The messages of a group are in one of them. So
 * their order is kept, and what a server can do for one queue limits nobody.
 *
 * A client belongs to one thread at a time, but any thread may call queue_interrupt. It keeps its connection. Calls
 * block, with a deadline. When too many calls fail, a breaker refuses further ones for a while. Requests are signed
 * (SigV4) when there are credentials. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_BATCH 10        /* maximum entries of one call; SQS's limit */
#define QUEUE_MAX_BODY 262144 /* bytes of one message, and of all messages of one call */
#define QUEUE_NAME_SIZE 81
#define QUEUE_SHARDS 16 /* at most */
#define QUEUE_URL_SIZE 512
#define QUEUE_CORRELATION_SIZE 129
#define QUEUE_ID_SIZE 101 /* of a MessageId */
#define QUEUE_ERROR_SIZE 320
#define QUEUE_CALLS 16 /* at a time, at most */
/* File descriptors of a client at most: old and new connection, libcurl's wake-ups and resolver; for a further call at a time. */
#define QUEUE_FILES 10
#define QUEUE_CALL_FILES 6

struct breaker;
struct credential_chain;
struct queue;

struct queue_options { /* what it points to is borrowed and must outlive the client */
    const char *endpoint, *region;
    struct credential_chain *credentials; /* asked in each call; NULL: requests are not signed */
    const char *name;             /* of the first shard; the others are name-1.fifo, name-2.fifo and so on */
    const char *dead_letter_name; /* of all shards */
    unsigned shards;              /* 0 is 1 */
    unsigned shard;               /* that this client receives from */
    unsigned calls;               /* of queue_send at a time, QUEUE_CALLS at most; 0 is 1 */
    int max_receive_count;
    int visibility_timeout_s;
    bool aws; /* the server is that of AWS: queues are made with high throughput, receives have attempt ids */
    struct breaker *breaker; /* shared by the clients of the process; NULL: none, for health checks */
};

enum queue_status {
    QUEUE_OK,
    QUEUE_UNAVAILABLE, /* no answer, 5xx or throttled: try again later */
    QUEUE_INTERRUPTED, /* by queue_interrupt */
    QUEUE_REFUSED,     /* the request was refused: repeating it does not help */
};

/* The process's set-up and clean-up of libcurl. Call queue_global_setup once in main before any thread starts, and
 * queue_global_cleanup before main ends. */
bool queue_global_setup(void) MUST_CHECK;
void queue_global_cleanup(void);

/* Does not connect yet. NULL when out of memory. */
struct queue *queue_open(const struct queue_options *options);
void queue_close(struct queue *queue); /* NULL is fine */

/* The name of the queue, from the options. */
const char *queue_name(const struct queue *queue);

/* The shard that has the messages of this group, from 0. The same in all processes with as many shards. */
unsigned queue_shard_of(const struct queue *queue, const char *group_id);

/* Makes the current call, and every later one, return QUEUE_INTERRUPTED. Any thread. */
void queue_interrupt(struct queue *queue);

/* The error message of the last failure, for the log. Valid until the next call. */
const char *queue_error(const struct queue *queue);

/* Creates all shards of the queue and its dead-letter queue if they are missing (FIFO, redrive policy), and checks
 * existing ones. A queue that is not FIFO, or whose redrive policy names another queue, is QUEUE_REFUSED, with the reason
 * in queue_error. The calls below need this, for the shards that they are about. They do it themselves if it has not
 * succeeded yet. */
enum queue_status queue_ensure(struct queue *queue) MUST_CHECK;

struct queue_entry { /* a message to send */
    const char *body;
    const char *group_id;         /* MessageGroupId */
    const char *deduplication_id; /* MessageDeduplicationId */
    const char *correlation_id;   /* attribute; NULL or "": none */
    const char *traceparent;      /* attribute; NULL or "": none */
    const char *tracestate;       /* attribute; NULL or "": none */
    const char *reason;           /* attribute, of a dead letter; NULL or "": none */
    bool accepted;                /* out */
    bool refused;                 /* out: SenderFault, sending it again does not help */
    char id[QUEUE_ID_SIZE];       /* out: of the accepted message; "": the server told none */
};

struct queue_call { /* entries that are sent in one call */
    struct queue_entry *entries;
    size_t n;                     /* 1..QUEUE_BATCH, of one shard */
    enum queue_status status;     /* out; on QUEUE_OK check each entry: a batch may be accepted in part */
    int64_t took_ns;              /* out */
    char error[QUEUE_ERROR_SIZE]; /* out: for the log; "": none */
};

/* Makes n calls at once (1..calls of the options), and waits for all: no longer than for one. Returns how many were made, of
 * the first ones. The breaker may let no more through, but the first one has a status in any case. What is sent at once
 * arrives in any order, also the entries of a call. So send no two of one group. queue_error is the first error. */
size_t queue_send(struct queue *queue, struct queue_call calls[], size_t n) MUST_CHECK;

struct queue_message { /* a received message; strings belong to the batch */
    const char *id;
    const char *receipt;
    const char *body;
    size_t body_len;
    const char *group_id;
    const char *correlation_id; /* "" when the message has none */
    const char *traceparent;    /* "" when the message has none */
    const char *tracestate;     /* "" when the message has none; not checked */
    unsigned receive_count;     /* ApproximateReceiveCount, from 1 */
    int64_t sent_ms;            /* SentTimestamp */
};

/* Sends the message to the dead-letter queue as well, in its own group, with the reason as an attribute. QUEUE_OK
 * when it was accepted there. */
enum queue_status queue_bury(struct queue *queue, const struct queue_message *message,
                             const char *reason) MUST_CHECK;

struct queue_batch {
    struct queue_message messages[QUEUE_BATCH];
    size_t count;
    void *storage; /* private */
};

/* Long-polls the client's shard up to wait_s seconds for up to QUEUE_BATCH messages. No message is QUEUE_OK with
 * count 0. Free the batch with queue_batch_free, whatever the status. */
enum queue_status queue_receive(struct queue *queue, int wait_s, struct queue_batch *batch) MUST_CHECK;
void queue_batch_free(struct queue_batch *batch);

/* Deletes messages, or sets their visibility timeout, in one call. Entries that failed through no fault of theirs
 * are retried once, each alone, as long as the retry budget allows (common/base/retry_budget.h). QUEUE_OK also when
 * single entries finally failed. Those are redelivered after their visibility timeout, and queue_error says why
 * (else it is ""). n may be 0. */
enum queue_status queue_delete(struct queue *queue, const struct queue_message *const messages[],
                               size_t n) MUST_CHECK;
enum queue_status queue_set_visibility(struct queue *queue, const struct queue_message *const messages[],
                                       const int seconds[], size_t n) MUST_CHECK;

/* Whether the server answers for this queue. Also reads its number of receives (queue_max_receive_count) again. Uses GetQueueAttributes, which touches no message. */
enum queue_status queue_check(struct queue *queue) MUST_CHECK;

struct queue_counts {
    int64_t visible, hidden, delayed;
};

/* Counts the messages that the queue with all of its shards, or its dead-letter queue, holds about now. Touches
 * none. */
enum queue_status queue_count(struct queue *queue, bool dead_letters, struct queue_counts *out) MUST_CHECK;

/* Receives before the server makes a message a dead letter: the queue's own number, once it is known, which may differ
 * from that of the options. */
int queue_max_receive_count(const struct queue *queue);
