/* Publishing one page of outbox rows. */
#include "outbox_page.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "outbox_trace.h"

#include <string.h>

enum { ENTRY_OVERHEAD = 128 }; /* names and types of attributes count as bytes of a call */

struct call { /* one that is made */
    size_t rows[QUEUE_BATCH];
    size_t n, bytes;
    bool full;
    struct queue_entry entries[QUEUE_BATCH];
    struct outbox_trace trace;
};

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
    size_t most_calls;                /* at a time */
    unsigned shard[OUTBOX_PAGE_ROWS]; /* of the queue, that takes the row */
    struct call calls[OUTBOX_CALLS];  /* that are made at once */
    size_t call_count;
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

static bool has_group(const struct page *p, const struct call *call, size_t row) {
    for (size_t i = 0; i < call->n; i++)
        if (page_same_group(p, call->rows[i], row))
            return true;
    return false;
}

/* The call that the row may go into: the last one of its shard, or a new one when that is full. NULL when it must wait. So
 * must the later rows of its group then: it is in a call already, or there is none left for its shard. */
static struct call *call_for(struct page *p, size_t row) {
    struct call *call = NULL;
    for (size_t i = 0; i < p->call_count; i++) {
        if (p->shard[p->calls[i].rows[0]] != p->shard[row])
            continue;
        call = &p->calls[i];
        if (has_group(p, call, row))
            return NULL;
    }
    if (call && call->bytes + row_bytes(p, row) > QUEUE_MAX_BODY)
        call->full = true;
    if (call && !call->full)
        return call;
    if (p->call_count == p->most_calls)
        return NULL;
    call = &p->calls[p->call_count++];
    call->n = call->bytes = 0;
    return call;
}

static bool all_full(const struct page *p) {
    size_t full = 0;
    while (full < p->call_count && p->calls[full].full)
        full++;
    return full == p->most_calls;
}

/* Picks the rows of the calls that are made next: the earliest that wait. Each call has those of one shard of the queue, and no
 * group is in them twice. False when none waits. */
static bool pick(struct page *p) {
    p->call_count = 0;
    while (p->first < p->count && p->state[p->first] != WAITING)
        p->first++;
    for (size_t row = p->first; row < p->count && !all_full(p); row++) {
        struct call *call = p->state[row] == WAITING ? call_for(p, row) : NULL;
        if (!call)
            continue;
        call->rows[call->n++] = row;
        call->bytes += row_bytes(p, row);
        call->full = call->n == p->most;
    }
    return p->call_count > 0;
}

/* The row was not accepted, so no later row of its group may overtake it. False when the other groups must wait
 * too. */
static bool keep_back(struct page *p, size_t row, bool refused, const char *why) {
    for (size_t i = row; i < p->count; i++)
        if (p->state[i] == WAITING && page_same_group(p, i, row))
            p->state[i] = STUCK;
    if (!refused || p->held->count == OUTBOX_MAX_HELD)
        return false;
    p->held->groups[p->held->count++] = db_uuid(p->rows, row, OUTBOX_GROUP_ID);
    const char *correlation_id = text(p, row, OUTBOX_CORRELATION_ID);
    tracing_set_current(text(p, row, OUTBOX_TRACEPARENT));
    log_error(*correlation_id ? correlation_id : NULL, "%s: event %s of %s was refused and waits: %s",
              p->table, text(p, row, OUTBOX_EVENT_ID), text(p, row, OUTBOX_GROUP_ID), why);
    tracing_set_current(NULL);
    return true;
}

/* What became of a call. False when the remaining rows must wait. */
static bool take_outcome(struct page *p, const struct call *call, const struct queue_call *outcome) {
    enum queue_status status = outcome->status;
    if (status == QUEUE_REFUSED && call->n > 1) {
        p->most = 1; /* send the rows one by one, to find the one that is refused */
        return true;
    }
    if (status != QUEUE_OK && status != QUEUE_REFUSED)
        return false;
    bool go_on = true;
    for (size_t i = 0; i < call->n; i++) {
        const struct queue_entry *entry = &call->entries[i];
        size_t row = call->rows[i];
        if (entry->accepted) {
            p->state[row] = SENT;
            p->sent->ids[p->sent->count] = db_int(p->rows, row, OUTBOX_ID);
            p->sent->events[p->sent->count++] = db_uuid(p->rows, row, OUTBOX_EVENT_ID);
        } else if (!keep_back(p, row, entry->refused || status == QUEUE_REFUSED, outcome->error)) {
            go_on = false;
        }
    }
    return go_on;
}

static void fill_call(struct page *p, struct call *call) {
    for (size_t i = 0; i < call->n; i++) {
        size_t row = call->rows[i];
        call->entries[i] = (struct queue_entry){
            .body = text(p, row, OUTBOX_PAYLOAD),
            .group_id = text(p, row, OUTBOX_GROUP_ID),
            .deduplication_id = text(p, row, OUTBOX_EVENT_ID),
            .correlation_id = text(p, row, OUTBOX_CORRELATION_ID),
        };
        outbox_trace_begin(&call->trace, i, text(p, row, OUTBOX_TRACEPARENT), &call->entries[i]);
    }
}

/* Makes the calls that were picked. Rows of one that was not made go on waiting. False when all must wait. */
static bool send_picked(struct page *p) {
    struct queue_call outcomes[OUTBOX_CALLS];
    int64_t began_ns = span_now();
    bool go_on = true;
    for (size_t i = 0; i < p->call_count; i++) {
        fill_call(p, &p->calls[i]);
        outcomes[i] = (struct queue_call){.entries = p->calls[i].entries, .n = p->calls[i].n};
    }
    size_t made = queue_send(p->queue, outcomes, p->call_count);
    for (size_t i = 0; i < made; i++) {
        struct call *call = &p->calls[i];
        outbox_trace_end(&call->trace, p->queue, call->entries, call->n, began_ns + outcomes[i].took_ns);
        go_on &= take_outcome(p, call, &outcomes[i]);
    }
    return go_on;
}

bool outbox_publish(struct queue *queue, const char *table, const struct db_result *rows, size_t calls,
                    int64_t until_ms, struct outbox_held *held, struct outbox_sent *sent) {
    struct page p; /* large: what is not set here is set before it is read */
    p.queue = queue;
    p.table = table;
    p.rows = rows;
    p.held = held;
    p.sent = sent;
    p.count = db_rows(rows);
    p.first = 0;
    p.most = QUEUE_BATCH;
    p.most_calls = calls;
    sent->count = 0;
    for (size_t row = 0; row < p.count; row++) {
        p.state[row] = WAITING;
        p.shard[row] = queue_shard_of(queue, text(&p, row, OUTBOX_GROUP_ID));
    }
    while (clock_mono_ms() < until_ms && pick(&p))
        if (!send_picked(&p))
            return false;
    return true;
}
