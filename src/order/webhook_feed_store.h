/* The SQL of making deliveries from the feed of events, and of cleaning up behind them. Connections and statuses are those
 * of common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/db/walk.h"
#include "order_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the position up to which events have their deliveries. *any tells whether there is a webhook at all. Costs no
 * transaction number and no commit. */
enum db_status webhook_feed_store_look(struct db *db, struct event_position *position, bool *any) MUST_CHECK;

/* The following belong into one transaction. */

/* Locks the position. *ours is false when somebody else is at it. */
enum db_status webhook_feed_store_lock(struct db *db, struct event_position *position, bool *any,
                                       bool *ours) MUST_CHECK;
enum db_status webhook_feed_store_move(struct db *db, const struct event_position *position) MUST_CHECK;

struct webhook_reader { /* strings are in arena */
    struct uuid id;
    const char *client_id;
    const char *events;         /* NULL: all */
    struct event_position from; /* it gets the events behind this one */
};

/* The webhooks of these clients. */
enum db_status webhook_feed_store_readers(struct db *db, const char *const client_ids[], size_t n,
                                          struct arena *arena, struct webhook_reader **readers,
                                          size_t *count) MUST_CHECK;

struct webhook_fresh {
    struct uuid id;
    const struct uuid *webhook_id, *order_id;
    const char *event_id, *type, *body;
};

/* Adds deliveries, in this order. One whose lane waits for a later attempt waits with it. */
enum db_status webhook_feed_store_add(struct db *db, const struct webhook_fresh list[], size_t n) MUST_CHECK;

/* Each of the following does one page, in a transaction of its own. *more is true when there may be another. */

/* Deliveries older than retention_ms go. given_up counts those that were not delivered. */
enum db_status webhook_feed_store_expire(struct db *db, struct db_walk *walk, int64_t retention_ms,
                                         size_t *given_up, bool *more) MUST_CHECK;
/* Deliveries of deleted webhooks go, and then the webhooks. */
enum db_status webhook_feed_store_purge(struct db *db, bool *more) MUST_CHECK;
/* What waits for webhooks that were enabled again becomes due. */
enum db_status webhook_feed_store_resume(struct db *db, bool *more) MUST_CHECK;
