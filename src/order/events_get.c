/* GET /events and GET /orders/:id/events: pages of the feed. */
#include "events.h"

#include "app.h"
#include "common/service/worker.h"
#include "event_store.h"
#include "feed.h"
#include "order_query.h"
#include "order_store.h"
#include "standby.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SCAN_ROWS = 500,         /* that are read at once, to find those that are wanted */
    SCANS = 4,               /* then the page ends, even without any */
    WAIT_MAX = 20,           /* seconds of a long poll */
    PAGE_BYTES = 256 * 1024, /* a page ends with the event that exceeds this */
};

struct reading {
    struct standby_seen seen; /* must stay first */
    struct event_filter filter;
    struct uuid order_id;
    struct event_position after;
    bool of_order; /* the history of one order, which must exist */
    bool from_now;
    bool streams; /* as server-sent events */
    size_t limit;
    int64_t wait_ms; /* for the first event */
};

static bool read_types(const char *text, unsigned *types) {
    char name[32];
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        enum order_event_type type;
        if (len >= sizeof name)
            return false;
        memcpy(name, at, len);
        name[len] = '\0';
        if (!order_event_type_parse(name, &type))
            return false;
        *types |= 1u << type;
        at += len;
        if (!*at)
            return true;
    }
}

/* Whether the caller wants server-sent events before anything else. */
static bool wants_stream(struct http_request *request) {
    static const char type[] = "text/event-stream";
    const char *accept = http_header(request, "Accept");
    return accept && strncasecmp(accept + strspn(accept, " \t"), type, sizeof type - 1) == 0;
}

/* Who comes again tells the last event that it has seen. A new stream of all orders begins now. */
static void read_after(struct http_request *request, struct reading *reading, struct http_faults *faults) {
    const char *after = http_header(request, "Last-Event-ID");
    if (after && !event_position_parse(after, &reading->after))
        http_fault(faults, "Last-Event-ID", NULL, "must be the id of an event");
    if (after)
        return;
    after = http_query(request, "after");
    if (!after && reading->streams && !reading->of_order)
        after = "now";
    reading->from_now = after && strcmp(after, "now") == 0;
    if (after && !reading->from_now && !event_position_parse(after, &reading->after))
        http_fault(faults, "after", NULL,
                   "must be the id of an event, the next of an earlier answer, or now");
}

/* What both routes have. Answers the faults, or leaves the reading for the worker. */
static void finish_prepare(struct http_request *request, struct reading *reading,
                           struct http_faults *faults) {
    const char *types = http_query(request, "types");
    standby_see(request, &reading->seen, faults);
    reading->filter.client_id = order_visible_client(request);
    reading->limit = order_query_limit(request, faults);
    reading->streams = wants_stream(request);
    reading->wait_ms = 1000 * (int64_t)order_query_number(request, "wait", 1, WAIT_MAX, 0, faults);
    read_after(request, reading, faults);
    if (types && !read_types(types, &reading->filter.types))
        http_fault(faults, "types", NULL,
                   "must be types of events, such as order.shipped, separated by commas");
    if (faults->count)
        http_reply_faults(request, faults);
    else
        request->command = reading;
}

void events_prepare(struct http_request *request) {
    static const char *const known[] = {"after", "limit", "types", "order_id", "customer_id", "wait", NULL};
    struct http_faults faults = {0};
    struct reading *reading = arena_alloc(&request->arena, sizeof *reading);
    const char *order = http_query(request, "order_id");
    if (!reading)
        return;
    order_query_known(request, known, &faults);
    reading->filter.customer_id = order_query_text(request, "customer_id", &faults);
    if (order && !uuid_parse(order, &reading->order_id))
        http_fault(&faults, "order_id", NULL, "must be the id of an order");
    reading->filter.order_id = order ? &reading->order_id : NULL;
    finish_prepare(request, reading, &faults);
}

void order_events_prepare(struct http_request *request) {
    static const char *const known[] = {"after", "limit", "types", "wait", NULL};
    struct http_faults faults = {0};
    struct reading *reading = arena_alloc(&request->arena, sizeof *reading);
    if (!reading)
        return;
    if (!uuid_parse(request->params[0], &reading->order_id)) {
        http_reply_problem(request, PROBLEM_ORDER_NOT_FOUND, "There is no such order");
        return;
    }
    reading->filter.order_id = &reading->order_id;
    reading->of_order = true;
    order_query_known(request, known, &faults);
    finish_prepare(request, reading, &faults);
}

/* Whether it may pass over most of the events that are read. */
static bool selects(const struct event_filter *filter) {
    return filter->types || filter->customer_id;
}

/* Collects the events of a page. Reads on until the page is full, or all were read up to the head, or enough was read for
 * one request. next receives the position up to which all wanted events are on the page. */
static enum db_status collect_page(struct db *db, const struct reading *reading,
                                   const struct event_head *head, struct buf *page,
                                   struct event_position *next) {
    size_t shown = 0;
    *next = reading->after;
    for (int scan = 0; scan < SCANS && shown < reading->limit; scan++) {
        struct arena arena = {0};
        struct order_event *events;
        size_t count = 0, i = 0;
        struct event_page rows = {.client_id = reading->filter.client_id,
                                  .order_id = reading->filter.order_id,
                                  .after = *next,
                                  .end = reading->of_order ? NULL : &head->end,
                                  .limit = selects(&reading->filter) ? SCAN_ROWS : reading->limit - shown};
        enum db_status status = event_store_read(db, &rows, &arena, &events, &count);
        for (; status == DB_OK && i < count && shown < reading->limit && page->len < PAGE_BYTES; i++) {
            *next = events[i].position;
            if (!event_filter_matches(&reading->filter, &events[i]))
                continue;
            if (shown++)
                buf_char(page, ',');
            order_event_json(page, &events[i]);
        }
        arena_free(&arena);
        if (status != DB_OK)
            return status;
        if (i < count)
            return DB_OK;
        if (count < rows.limit) {
            if (rows.end && event_position_compare(next, &head->reached) < 0)
                *next = head->reached;
            return DB_OK;
        }
    }
    return DB_OK;
}

/* Whether there is the order of the history, and the caller may see it. */
static enum db_status find_order(struct db *db, const struct reading *reading, bool *found) {
    struct arena arena = {0};
    struct order_wanted wanted = {.id = reading->order_id, .client_id = reading->filter.client_id};
    enum db_status status = order_store_find(db, &wanted, 1, &arena);
    *found = wanted.order;
    arena_free(&arena);
    return status;
}

void event_page_reply(struct http_request *request, const struct buf *events,
                      const struct event_position *next) {
    struct buf body = {0};
    char id[EVENT_ID_SIZE];
    event_position_format(next, id);
    buf_str(&body, "{\"events\":[");
    buf_append(&body, events->data ? events->data : "", events->len);
    buf_printf(&body, "],\"next\":\"%s\"}", id);
    body.failed |= events->failed;
    http_reply_json(request, 200, &body);
}

static void refuse_reader(struct http_request *request) {
    http_reply_problem(request, PROBLEM_OVERLOADED, "Too many streams and long polls are open");
}

/* Streams from reading->after. What is gone is told to the client, not answered: it would not come again after an error. */
static void start_stream(struct feed *feed, struct http_request *request, const struct reading *reading,
                         const struct event_head *head) {
    struct feed_place place = {.filter = reading->filter, .after = reading->after};
    place.resync = event_position_has_left(&reading->after, &head->floor);
    if (place.resync)
        place.after = head->floor;
    if (!feed_stream(feed, request, &place))
        refuse_reader(request);
    else
        http_reply_header(request, "X-Accel-Buffering", "no");
}

static enum db_status answer_page(struct feed *feed, struct db *db, struct http_request *request,
                                  const struct reading *reading, const struct event_head *head) {
    struct buf events = {0};
    struct event_position next;
    enum db_status status = collect_page(db, reading, head, &events, &next);
    struct feed_place place = {.filter = reading->filter, .after = next};
    bool waits = status == DB_OK && !events.len && reading->wait_ms;
    if (waits && !feed_wait(feed, request, &place, reading->limit, reading->wait_ms))
        refuse_reader(request);
    if (status == DB_OK && !waits)
        event_page_reply(request, &events, &next);
    buf_free(&events);
    return status;
}

/* An order that a standby does not have is left for the primary. */
static enum db_status answer(const struct http_worker *worker, struct db *db, struct http_request *request,
                             const struct event_head *head) {
    struct feed *feed = ((const struct order_app *)worker->app)->feed;
    struct reading *reading = request->command;
    bool found = true;
    enum db_status status = reading->of_order ? find_order(db, reading, &found) : DB_OK;
    if (!found && status == DB_OK && db != worker->reads)
        http_reply_problem(request, PROBLEM_ORDER_NOT_FOUND, "There is no such order");
    if (!found || status != DB_OK)
        return status;
    if (reading->from_now)
        reading->after = head->reached;
    else if (event_position_is_none(&reading->after))
        reading->after = head->floor;
    if (reading->streams)
        start_stream(feed, request, reading, head);
    else if (event_position_has_left(&reading->after, &head->floor))
        http_reply_problem(request, PROBLEM_CURSOR_EXPIRED,
                           "Events are kept for some time only; begin without after");
    else
        status = answer_page(feed, db, request, reading, head);
    return status;
}

/* Each page is a query of its own, because the pages have nothing in common. A stream needs only the head: after a restart
 * all of them come again at once. */
static enum db_status answer_pages(struct http_worker *worker, struct db *db, struct http_request *requests[],
                                   size_t n) {
    struct event_head head;
    enum db_status status =
        db == worker->reads ? event_store_standby_head(db, &head) : event_store_head(db, &head);
    for (size_t i = 0; status == DB_OK && i < n; i++)
        status = answer(worker, db, requests[i], &head);
    return status;
}

/* Whether the answer is the history of an order as it stands. All others may belong to the feed's thread once they were read. */
static bool is_history(const struct http_request *request) {
    const struct reading *reading = request->command;
    return reading->of_order && !reading->streams && !reading->wait_ms && !reading->from_now;
}

enum outcome events_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    struct http_request *histories[HTTP_BATCH_MAX], *live[HTTP_BATCH_MAX];
    size_t history_count = 0, live_count = 0;
    for (size_t i = 0; i < n; i++)
        if (is_history(requests[i]))
            histories[history_count++] = requests[i];
        else
            live[live_count++] = requests[i];
    enum db_status status = DB_OK;
    if (history_count)
        status = standby_read(worker, histories, history_count, answer_pages);
    if (status == DB_OK && live_count)
        status = answer_pages(worker, worker->db, live, live_count);
    return db_outcome(status);
}
