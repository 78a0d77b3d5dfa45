/* The SQL of cancelling. */
#include "cancel_store.h"

#include "common/base/clock.h"
#include "common/events/outbox_rows.h"
#include "order_json.h"
#include "order_store.h"

#include <stdlib.h>
#include <string.h>

static const struct db_query ask_query = {"order_ask_cancel", OUTBOX_INSERT_ROWS("order_outbox")};

struct cancel_work {
    struct cancel_wish *const *wishes;
    size_t n;
    struct arena arena;
    /* Of the wishes that are new, in their order. */
    const struct order **changed;
    struct order_event *history;
    struct outbox_rows outbox;
    size_t count;
};

static int compare_order(const void *key, const void *row) {
    return uuid_compare(key, &((const struct order *)row)->id);
}

static struct order_event history_of_wish(const struct cancel_wish *wish, const struct order *order,
                                          struct arena *arena) {
    return (struct order_event){.type = ORDER_EVENT_CANCEL_REQUESTED,
                                .order_id = order->id,
                                .client_id = order->client_id,
                                .customer_id = order->customer_id,
                                .previous_status = order_status_name(order->status),
                                .status = order_status_name(order->status),
                                .request_id = wish->request_id,
                                .trace_id = arena_memdup(arena, wish->trace + TRACE_ID_AT, TRACE_ID_LENGTH),
                                .occurred_ms = order->updated_ms};
}

static void ask_delivery(struct outbox_rows *outbox, const struct cancel_wish *wish,
                         const struct order *order) {
    struct buf payload = {0};
    struct uuid event_id = uuid_new();
    order_cancel_json(&payload, order, &event_id);
    outbox_rows_add(outbox, &event_id, &order->id, &payload, wish->request_id, wish->trace);
    buf_free(&payload);
}

static void note_wish(struct cancel_work *work, struct cancel_wish *wish, struct order *order) {
    wish->found = order && strcmp(order->client_id, wish->client_id) == 0;
    if (!wish->found)
        return;
    wish->verdict = order_request_cancel(order, wish->reason, clock_epoch_ms());
    wish->status = order->status;
    wish->cancellation = order->cancellation;
    if (wish->verdict != ORDER_CANCEL_NOTED)
        return;
    work->history[work->count] = history_of_wish(wish, order, &work->arena);
    work->changed[work->count++] = order;
    ask_delivery(&work->outbox, wish, order);
}

static enum db_status note_wishes(struct db *db, void *arg) {
    struct cancel_work *work = arg;
    struct uuid *ids = arena_array(&work->arena, work->n, sizeof *ids);
    struct order *orders = NULL;
    size_t count = 0;
    work->changed = arena_array(&work->arena, work->n, sizeof *work->changed);
    work->history = arena_array(&work->arena, work->n, sizeof *work->history);
    if (!ids || !work->changed || !work->history)
        return DB_NO_MEMORY;
    for (size_t i = 0; i < work->n; i++)
        ids[i] = work->wishes[i]->order_id;
    enum db_status status = order_store_lock(db, ids, work->n, &work->arena, &orders, &count);
    if (status != DB_OK)
        return status;
    outbox_rows_open(&work->outbox);
    for (size_t i = 0; i < work->n; i++)
        note_wish(work, work->wishes[i],
                  bsearch(&work->wishes[i]->order_id, orders, count, sizeof *orders, compare_order));
    if (work->arena.failed)
        status = DB_NO_MEMORY;
    else if (work->count)
        status = order_store_update(db, work->changed, work->count, work->history, work->count);
    if (status == DB_OK && work->count)
        return outbox_rows_insert(&work->outbox, db, &ask_query);
    db_params_free(&work->outbox.params);
    return status;
}

enum db_status cancel_store_note(struct db *db, struct cancel_wish *const wishes[], size_t n) {
    struct cancel_work work = {.wishes = wishes, .n = n};
    enum db_status status = db_transaction(db, note_wishes, &work);
    arena_free(&work.arena);
    return status;
}
