/* The SQL of the feed: reading the history of orders, and its partitions. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "order_event.h"

#include <stddef.h>
#include <stdint.h>

struct event_head {
    struct event_position end; /* all events below are committed, and visible: none will appear there */
    /* Behind the last event below end, or the floor. Only this may be handed out or kept as a position: its transaction is on
     * disk. After a crash the server gives numbers again that it had given to transactions which wrote nothing. */
    struct event_position reached;
    /* The last one that has left the feed, an hour before it is dropped; none: all are there. */
    struct event_position floor;
    int64_t next_xid; /* transactions from here on have not begun; those from end on may be running */
};

/* Opens the epoch of this run of the server, if need be. */
enum db_status event_store_head(struct db *db, struct event_head *head) MUST_CHECK;

/* The same of a standby, which opens no epoch. */
enum db_status event_store_standby_head(struct db *db, struct event_head *head) MUST_CHECK;

struct event_page {
    const char *client_id;       /* NULL: of all clients */
    const struct uuid *order_id; /* NULL: of all orders */
    struct event_position after;
    const struct event_position *end; /* only those below; NULL: all, which is only right for one order */
    size_t limit;
};

/* Reads events in their order. Their text is in arena. */
enum db_status event_store_read(struct db *db, const struct event_page *page, struct arena *arena,
                                struct order_event **events, size_t *count) MUST_CHECK;

/* *age_ms receives the age of the oldest event that is committed and above the head's end; 0: there is none. */
enum db_status event_store_held_back(struct db *db, int64_t *age_ms) MUST_CHECK;

/* Makes the partitions of the next days. Those that are older leave the feed, and are dropped an hour later. */
enum db_status event_store_keep(struct db *db, int64_t retention_ms) MUST_CHECK;
