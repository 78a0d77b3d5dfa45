/* Publishing one page of outbox rows. */
#include "outbox_page.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "outbox_trace.h"

#include <string.h>

enum { ENTRY_OVERHEAD = 128 }; /* names and types of attributes count as bytes of a call */

struct page {
    struct queue *queue;
    const char *table;
    const struct db_result *rows;
    struct outbox_held *held;
    struct outbox_sent *sent;
    size_t count;
    size_t first; /* the rows before it do not wait */
    enum { WAITING, SENT, STUCK } state[OUTBOX_PAGE_ROWS];
    size_t most;                      /* maximum entries of a call */
    unsigned shard[OUTBOX_PAGE_ROWS]; /* of the queue, that takes the row */
};

static const char *text(const struct page *p, size_t row, int column) {
    return db_text(p->rows, row, column);
}

static bool page_same_group(const struct page *p, size_t a, size_t b) {
    return strcmp(text(p, a, OUTBOX_GROUP_ID), text(p, b, OUTBOX_GROUP_ID)) == 0;
}

static size_t row_bytes(const struct page *p, size_t row) {
    return strlen(text(p, row, OUTBOX_PAYLOAD)) + strlen(text(p, row, OUTBOX_CORRELATION_ID)) +
           strlen(text(p, row, OUTBOX_TRACEPARENT)) + ENTRY_OVERHEAD;
}

/* Picks the rows of the next call: the earliest that wait, of one shard of the queue, and no two of one group. */
static size_t pick(struct page *p, size_t picked[static QUEUE_BATCH]) {
    size_t n = 0, bytes = 0;
    while (p->first < p->count && p->state[p->first] != WAITING)
        p->first++;
    for (size_t row = p->first; row < p->count && n < p->most; row++) {
        bool free = p->state[row] == WAITING && (n == 0 || p->shard[row] == p->shard[picked[0]]);
        for (size_t i = 0; free && i < n; i++)
            free = !page_same_group(p, picked[i], row);
        if (!free)
            continue;
        bytes += row_bytes(p, row);
        if (n > 0 && bytes > QUEUE_MAX_BODY)
            break;
        picked[n++] = row;
    }
    return n;
}

/* The row was not accepted, so no later row of its group may overtake it. False when the other groups must wait
 * too. */
static bool keep_back(struct page *p, size_t row, bool refused) {
    for (size_t i = row; i < p->count; i++)
        if (p->state[i] == WAITING && page_same_group(p, i, row))
            p->state[i] = STUCK;
    if (!refused || p->held->count == OUTBOX_MAX_HELD)
        return false;
    p->held->groups[p->held->count++] = db_uuid(p->rows, row, OUTBOX_GROUP_ID);
    const char *correlation_id = text(p, row, OUTBOX_CORRELATION_ID);
    tracing_set_current(text(p, row, OUTBOX_TRACEPARENT));
    log_error(*correlation_id ? correlation_id : NULL, "%s: event %s of %s was refused and waits: %s",
              p->table, text(p, row, OUTBOX_EVENT_ID), text(p, row, OUTBOX_GROUP_ID), queue_error(p->queue));
    tracing_set_current(NULL);
    return true;
}

/* Makes one call. False when the remaining rows must wait. */
static bool send_picked(struct page *p, const size_t picked[], size_t n) {
    struct queue_entry entries[QUEUE_BATCH];
    struct outbox_trace trace;
    for (size_t i = 0; i < n; i++) {
        entries[i] = (struct queue_entry){
            .body = text(p, picked[i], OUTBOX_PAYLOAD),
            .group_id = text(p, picked[i], OUTBOX_GROUP_ID),
            .deduplication_id = text(p, picked[i], OUTBOX_EVENT_ID),
            .correlation_id = text(p, picked[i], OUTBOX_CORRELATION_ID),
        };
        outbox_trace_begin(&trace, i, text(p, picked[i], OUTBOX_TRACEPARENT), &entries[i]);
    }
    enum queue_status status = queue_send(p->queue, entries, n);
    outbox_trace_end(&trace, p->queue, entries, n);
    if (status == QUEUE_REFUSED && n > 1) {
        p->most = 1; /* send the rows one by one, to find the one that is refused */
        return true;
    }
    if (status != QUEUE_OK && status != QUEUE_REFUSED)
        return false;
    bool go_on = true;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].accepted) {
            p->state[picked[i]] = SENT;
            p->sent->ids[p->sent->count++] = db_int(p->rows, picked[i], OUTBOX_ID);
        } else if (!keep_back(p, picked[i], entries[i].refused || status == QUEUE_REFUSED)) {
            go_on = false;
        }
    }
    return go_on;
}

bool outbox_publish(struct queue *queue, const char *table, const struct db_result *rows, int64_t until_ms,
                    struct outbox_held *held, struct outbox_sent *sent) {
    struct page p = {.queue = queue, .table = table, .rows = rows, .held = held, .sent = sent};
    p.count = db_rows(rows);
    p.most = QUEUE_BATCH;
    sent->count = 0;
    for (size_t row = 0; row < p.count; row++)
        p.shard[row] = queue_shard_of(queue, text(&p, row, OUTBOX_GROUP_ID));
    size_t picked[QUEUE_BATCH], n;
    while (clock_mono_ms() < until_ms && (n = pick(&p, picked)) > 0)
        if (!send_picked(&p, picked, n))
            return false;
    return true;
}
