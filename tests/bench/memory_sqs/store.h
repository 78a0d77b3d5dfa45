/* FIFO queues in memory, at a constant cost for each message: message groups, visibility timeouts, dead letters, and
 * deduplication ids that are known for five minutes. One thread. Times are in milliseconds on one clock, the caller's. */
#pragma once

#include "sent_ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_QUEUES = 256, STORE_MESSAGES = 1 << 20, STORE_NAME_SIZE = 81, STORE_RECEIPT_SIZE = 48 };
#define STORE_BYTES ((size_t)1 << 30) /* of all messages */

struct group;

struct message {
    struct message *next;           /* of its group; of the free ones */
    struct message *sooner, *later; /* among the hidden ones of the queue */
    struct group *group;            /* NULL: the slot is free */
    uint64_t id;                    /* no two messages have the same */
    int64_t sent_ms, first_ms;      /* first_ms: of its first receive */
    int64_t visible_ms;             /* while it is hidden */
    unsigned receives;
    bool hidden;
    size_t size;
    char *body;       /* as JSON, with quotes */
    char *attributes; /* as JSON, "{}" when there are none */
    char *deduplication_id;
    char md5[33];
};

struct group { /* it exists while it has messages */
    struct group *next_of_hash;
    struct group *before, *after; /* among the ready ones: their first message is not hidden */
    struct queue *queue;
    struct message *first, *last;
    bool ready;
    char id[129];
};

struct queue {
    char name[STORE_NAME_SIZE]; /* "": the slot is free */
    uint64_t serial;            /* no two queues have the same, also one after the other */
    int visibility_s;
    struct queue *dead_letters; /* NULL: none */
    int max_receives;
    struct group *first_ready, *last_ready;
    struct message *first_hidden, *last_hidden; /* the first one becomes visible first */
    size_t count, hidden;
};

struct store;

struct draft { /* a message to send; strings are copied */
    const char *body, *attributes, *md5, *group_id, *deduplication_id;
};

struct store *store_open(void); /* NULL when out of memory */
void store_close(struct store *store);

struct queue *store_find(struct store *store, const char *name);
struct queue *store_create(struct store *store, const char *name); /* NULL when there are too many */
void store_drop(struct store *store, struct queue *queue);
struct queue *store_queue(struct store *store, size_t i); /* of STORE_QUEUES slots; NULL: it is free */

/* The id of the message, also when its deduplication id was known and nothing was added. 0 when there is no room. */
uint64_t store_send(struct store *store, struct queue *queue, const struct draft *draft, int64_t now_ms);

/* Takes at most most messages, one of a group, and hides them. */
size_t store_receive(struct store *store, struct queue *queue, int64_t visibility_ms, int64_t now_ms,
                     struct message *out[], size_t most);

/* What a receive handed out last. The two that take a receipt are false when the message was deleted or came back. */
void store_receipt(const struct store *store, const struct message *message,
                   char out[static STORE_RECEIPT_SIZE]);
bool store_delete(struct store *store, struct queue *queue, const char *receipt);
bool store_hide(struct store *store, struct queue *queue, const char *receipt, int64_t ms, int64_t now_ms);

/* Lets messages come back whose time is over. */
void store_tick(struct store *store, int64_t now_ms);
