/* The SQL of sending: taking deliveries, and writing what became of them. Connections and statuses are those of
 * common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "webhook_receivers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the options of a sender's db: a lost result only means that a delivery comes twice, so commits need not wait for the
 * disk. */
extern const struct db_query webhook_send_store_settings;

struct webhook_claim {
    const struct webhook_receivers *receivers; /* that are known */
    size_t limit;                              /* deliveries */
    size_t doubtful;                           /* of those to receivers in doubt, at most */
    int64_t of_receiver;                       /* at once to a receiver that is well; 1 to one in doubt */
    int64_t lease_ms;
};

struct webhook_claimed { /* strings are in arena */
    struct uuid id, webhook_id;
    const char *client_id, *url, *secret, *old_secret; /* sealed; old_secret NULL: is not valid any more */
    const char *body;
    int64_t attempts, failures; /* with this attempt; before it */
    int64_t doubt;              /* of the receiver */
    int64_t due_ms, claimed_ms; /* since when; now. On the database's clock. */
};

/* Takes due deliveries, for as long as the lease. One whose lane has an earlier one that waits is not due. All receivers
 * get their turn: each has its first delivery before any has its second. */
enum db_status webhook_send_store_claim(struct db *db, const struct webhook_claim *claim, struct arena *arena,
                                        struct webhook_claimed **claimed, size_t *count) MUST_CHECK;

/* What became of a delivery. */
struct webhook_sent {
    struct uuid id;
    int64_t attempts; /* of webhook_claimed: whoever has another number took it later */
    bool delivered;
    int64_t delay_ms;   /* until the next attempt; 0 when delivered */
    int64_t status;     /* 0: no answer */
    const char *error;  /* NULL: there was an answer */
    const char *answer; /* its beginning; NULL: none */
};

/* What a receiver has shown. */
struct webhook_shown {
    struct uuid id;
    bool unwell;
    int64_t pause_ms;      /* in which nothing is sent to it */
    const char *reason;    /* to disable it; NULL: stays as it is */
    const char *client_id; /* of the one to disable, for the log */
    /* When the first request that shows it began. Nothing follows when the webhook was changed later. */
    int64_t since_ms;
    bool disabled; /* receives whether this disabled it */
};

/* Writes results, in one transaction. A lane whose first delivery failed waits with it. */
enum db_status webhook_send_store_record(struct db *db, const struct webhook_sent sent[], size_t n,
                                         struct webhook_shown shown[], size_t shown_count) MUST_CHECK;

/* Gives back what was not sent to its end: of unsent only id and attempts are used. */
enum db_status webhook_send_store_release(struct db *db, const struct webhook_sent unsent[],
                                          size_t n) MUST_CHECK;
