/* Publishing one page of outbox rows: which rows are sent together and at once, and which of them were accepted. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/events/outbox.h"
#include "common/queue/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_PAGE_ROWS 500
#define OUTBOX_MAX_HELD 32

/* Columns of a page, in the order of the SELECT. */
#define OUTBOX_COLUMNS "id, event_id, group_id, payload, correlation_id, traceparent"
enum {
    OUTBOX_ID,
    OUTBOX_EVENT_ID,
    OUTBOX_GROUP_ID,
    OUTBOX_PAYLOAD,
    OUTBOX_CORRELATION_ID,
    OUTBOX_TRACEPARENT
};

struct outbox_held { /* groups that wait because one of their events was refused */
    struct uuid groups[OUTBOX_MAX_HELD];
    size_t count;
};

struct outbox_sent { /* the rows that were accepted */
    int64_t ids[OUTBOX_PAGE_ROWS];
    struct uuid events[OUTBOX_PAGE_ROWS];
    size_t count;
};

/* Sends at most OUTBOX_PAGE_ROWS rows in calls of which so many (1..OUTBOX_CALLS) are in flight at a time: the rows of a group
 * one after the other, and none after one that was not accepted. A refused event is logged and its group added to held. False,
 * with words in queue_error, when the rest has to wait for better times. No call is begun after until_ms (clock_mono_ms): the
 * rest is left for the next page then. */
bool outbox_publish(struct queue *queue, const char *table, const struct db_result *rows, size_t calls,
                    int64_t until_ms, struct outbox_held *held, struct outbox_sent *sent) MUST_CHECK;
