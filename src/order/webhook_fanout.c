/* Making deliveries from the feed of events. Events become deliveries, and the position moves, in one transaction. So each
 * event becomes one delivery for each webhook, whatever crashes, and whoever goes on. */
#include "webhook_fanout.h"

#include "app.h"
#include "common/base/log.h"
#include "event_store.h"
#include "webhook.h"
#include "webhook_feed_store.h"
#include "webhook_sender.h"

#include <string.h>

enum { PAGE_EVENTS = 500, BUSY_MS = 10, IDLE_MS = 200, FAR_BEHIND = 10000 /* transactions */ };

struct fanout {
    struct arena arena;
    size_t events, deliveries; /* of this page */
    bool full;                 /* there may be more events */
};

/* The clients of these events, each once. */
static const char **clients_of(struct arena *arena, const struct order_event *events, size_t n,
                               size_t *count) {
    const char **list = arena_array(arena, n + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < n; i++) {
        size_t at = 0;
        while (at < *count && strcmp(list[at], events[i].client_id) != 0)
            at++;
        if (at == *count)
            list[(*count)++] = events[i].client_id;
    }
    return list;
}

static bool reader_wants(const struct webhook_reader *reader, const struct order_event *event) {
    return strcmp(reader->client_id, event->client_id) == 0 &&
           event_position_compare(&event->position, &reader->from) > 0 &&
           webhook_wants(reader->events, order_event_type_name(event->type));
}

/* Adds the deliveries of one event to list. False when out of memory. */
static bool make_deliveries(struct arena *arena, const struct order_event *event,
                            const struct webhook_reader *readers, size_t reader_count,
                            struct webhook_fresh *list, size_t *n) {
    char id[EVENT_ID_SIZE];
    struct buf body = {0};
    const char *event_id = NULL, *text = NULL;
    for (size_t i = 0; i < reader_count; i++) {
        if (!reader_wants(&readers[i], event))
            continue;
        if (!text) {
            event_position_format(&event->position, id);
            order_event_json(&body, event);
            event_id = arena_strdup(arena, id);
            text = body.failed ? NULL : arena_strdup(arena, body.data);
            buf_free(&body);
            if (!text || !event_id)
                return false;
        }
        list[(*n)++] = (struct webhook_fresh){.id = uuid_new(),
                                              .webhook_id = &readers[i].id,
                                              .order_id = &event->order_id,
                                              .event_id = event_id,
                                              .type = order_event_type_name(event->type),
                                              .body = text};
    }
    return true;
}

static enum db_status fan_out(struct db *db, struct fanout *f, const struct order_event *events, size_t n) {
    struct webhook_reader *readers;
    size_t client_count, reader_count, count = 0;
    const char **clients = clients_of(&f->arena, events, n, &client_count);
    if (!clients)
        return DB_NO_MEMORY;
    enum db_status status =
        webhook_feed_store_readers(db, clients, client_count, &f->arena, &readers, &reader_count);
    if (status != DB_OK || reader_count == 0)
        return status;
    struct webhook_fresh *list = arena_array(&f->arena, n * WEBHOOK_MAX_OF_CLIENT, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        if (!make_deliveries(&f->arena, &events[i], readers, reader_count, list, &count))
            return DB_NO_MEMORY;
    f->deliveries = count;
    if (!list)
        return DB_NO_MEMORY;
    return count ? webhook_feed_store_add(db, list, count) : DB_OK;
}

/* The end of the events that are visible. */
static struct event_position end_of(const struct event_head *head) {
    return (struct event_position){head->end.epoch, head->end.xid - 1, INT32_MAX};
}

/* Events that nobody wants are not read: without any webhook the position moves to the end of what is visible. A webhook
 * that comes into being meanwhile only gets events behind that end. */
static enum db_status fan_out_page(struct db *db, void *arg) {
    struct fanout *f = arg;
    struct event_position position;
    struct event_head head;
    struct order_event *events;
    bool any, ours;
    enum db_status status = webhook_feed_store_lock(db, &position, &any, &ours);
    if (status != DB_OK || !ours)
        return status;
    status = event_store_head(db, &head);
    if (status != DB_OK)
        return status;
    struct event_position last = end_of(&head);
    if (!any)
        return event_position_compare(&last, &position) > 0 ? webhook_feed_store_move(db, &last) : DB_OK;
    bool missed = event_position_compare(&position, &head.floor) < 0;
    if (missed)
        log_warn(NULL, "events left the feed (EVENTS_RETENTION) before webhooks could be told of them");
    struct event_page page = {
        .after = missed ? head.floor : position, .end = &head.end, .limit = PAGE_EVENTS};
    status = event_store_read(db, &page, &f->arena, &events, &f->events);
    if (status != DB_OK || f->events == 0)
        return status == DB_OK && missed ? webhook_feed_store_move(db, &head.floor) : status;
    f->full = f->events == PAGE_EVENTS;
    status = fan_out(db, f, events, f->events);
    return status == DB_OK ? webhook_feed_store_move(db, &events[f->events - 1].position) : status;
}

/* Whether there is something to do: a transaction that takes the lock costs a flush of the disk, looking costs none. Each
 * move of the position is a transaction itself, so without webhooks it only moves once in a while. */
static enum db_status look_for_events(struct db *db, struct arena *arena, bool *work) {
    struct event_position position;
    struct event_head head;
    struct order_event *events;
    size_t count = 0;
    bool any;
    enum db_status status = webhook_feed_store_look(db, &position, &any);
    if (status == DB_OK)
        status = event_store_head(db, &head);
    if (status != DB_OK)
        return status;
    *work = !any && (position.epoch != head.end.epoch || head.end.xid - position.xid > FAR_BEHIND);
    if (any) {
        struct event_page page = {.after = position, .end = &head.end, .limit = 1};
        status = event_store_read(db, &page, arena, &events, &count);
        *work = count > 0 || event_position_compare(&position, &head.floor) < 0;
    }
    return status;
}

int64_t webhook_fanout_run(void *self, struct db *db, enum db_status *status) {
    const struct order_app *app = self;
    struct fanout f = {0};
    bool work = false;
    *status = look_for_events(db, &f.arena, &work);
    if (*status == DB_OK && work)
        *status = db_transaction(db, fan_out_page, &f);
    arena_free(&f.arena);
    if (*status == DB_OK && f.deliveries)
        webhook_sender_wake(app->webhook_sender);
    return *status == DB_OK && f.events ? (f.full ? 0 : BUSY_MS) : IDLE_MS;
}
