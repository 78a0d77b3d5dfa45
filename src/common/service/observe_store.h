/* The SQL of the observer: how many messages and events wait. */
#pragma once

#include "common/db/db.h"
#include "common/queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

struct observed_queue {
    bool known; /* counted lately, by any replica */
    struct queue_counts messages;
    int64_t dead_letters;
};

/* Takes on the duty to count a queue. *ours is true for one replica in OBSERVE_MS, others are counting or have counted.
 * ledger is the daemon's: "order". */
enum db_status observe_store_claim(struct db *db, const char *ledger, const char *queue,
                                   bool *ours) MUST_CHECK;
enum db_status observe_store_put(struct db *db, const char *ledger, const char *queue,
                                 const struct observed_queue *counted) MUST_CHECK;
enum db_status observe_store_get(struct db *db, const char *ledger, const char *queue,
                                 struct observed_queue *out) MUST_CHECK;

/* The rows of an outbox, counted up to OBSERVE_MOST, and the age of the oldest in ms (0: there is none). */
enum db_status observe_store_outbox(struct db *db, const char *table, int64_t *rows,
                                    int64_t *age_ms) MUST_CHECK;

/* Bytes of the database. */
enum db_status observe_store_size(struct db *db, int64_t *bytes) MUST_CHECK;

enum { OBSERVE_MS = 15000, OBSERVE_MOST = 10000 };
