/* Applies status events to orders, one transaction per batch. Then writes the views of the orders. */
#include "status_consumer.h"

#include "app.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/cache/cache.h"
#include "feed.h"
#include "order_json.h"
#include "order_store.h"
#include "order_views.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct status_consumer {
    struct order_app *app;
    struct consumer *consumer;
    pthread_mutex_t lock; /* protects cache: the consumer may have several threads */
    struct cache *cache;
};

/* Parses all messages. Invalid ones receive a reason. ids receives the orders of the valid ones. Returns their
 * number. */
static size_t parse_events(struct consumer_message messages[], size_t n, struct arena *arena,
                           struct order_status_event events[], struct uuid ids[]) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct consumer_message *in = &messages[i];
        bool good = order_status_event_parse(in->message->body, in->message->body_len, arena, &events[i],
                                             in->reason, sizeof in->reason);
        in->outcome = good ? CONSUMER_DONE : CONSUMER_HOPELESS;
        if (good)
            ids[count++] = events[i].order_id;
    }
    return count;
}

static struct order *order_with_id(struct order orders[], size_t count, const struct uuid *id) {
    for (size_t i = 0; i < count; i++)
        if (uuid_compare(&orders[i].id, id) == 0)
            return &orders[i];
    return NULL;
}

enum effect { NOTHING, CHANGED, MOVED }; /* MOVED: the order has another status */

/* What an event did to its order. */
struct status_effect {
    enum effect effect;
    enum order_cancellation decided; /* none: no cancellation was decided */
};

struct status_work {
    struct consumer_message *messages;
    size_t n;
    const struct order_status_event *events;
    const struct uuid *ids;
    size_t id_count;
    struct arena *arena;
    struct status_effect *effects; /* out */
    const struct order **changed;  /* out */
    size_t changed_count;
    struct order_event history[2 * CONSUMER_BATCH]; /* out: of what changed, in its order */
    size_t history_count;
};

/* What a change of an order leaves in its history. That it is CANCELLED tells the reason, which the order has. */
static struct order_event history_of_change(const struct order *order, enum order_status before,
                                            const struct consumer_message *in, struct arena *arena) {
    struct buf data = {0};
    if (order->status != ORDER_CANCELLED || before == ORDER_CANCELLED)
        order_event_changed_data(&data, order);
    struct order_event event = {
        .type = order_event_type_of(before, order->status),
        .order_id = order->id,
        .client_id = order->client_id,
        .customer_id = order->customer_id,
        .previous_status = order_status_name(before),
        .status = order_status_name(order->status),
        .actor = "delivery-service",
        .request_id = in->message->correlation_id,
        .trace_id = *in->trace ? arena_memdup(arena, in->trace + TRACE_ID_AT, TRACE_ID_LENGTH) : NULL,
        .data = data.len && !data.failed ? arena_memdup(arena, data.data, data.len) : NULL,
        .occurred_ms = order->updated_ms};
    arena->failed |= data.failed;
    buf_free(&data);
    return event;
}

/* Applies an event to its order, and notes the history. */
static struct status_effect apply_event(struct status_work *work, struct order *order, size_t i) {
    const struct order_status_event *event = &work->events[i];
    enum order_status before = order->status;
    enum order_cancellation wished = order->cancellation;
    struct status_effect effect = {NOTHING, ORDER_CANCEL_NONE};
    if (!order_apply_status(order, event->status, event->tracking_number, event->carrier, clock_epoch_ms()))
        return effect;
    order_note_time(order, before, event->changed_ms);
    effect.effect = order->status == before ? CHANGED : MOVED;
    struct order_event *history = &work->history[work->history_count++];
    *history = history_of_change(order, before, &work->messages[i], work->arena);
    if (order->cancellation == wished)
        return effect;
    effect.decided = order->cancellation;
    if (order->cancellation == ORDER_CANCEL_REFUSED) { /* that it is accepted, the event itself tells */
        struct order_event *refused = &work->history[work->history_count++];
        *refused = *history;
        refused->type = ORDER_EVENT_CANCEL_REFUSED;
        refused->previous_status = refused->status;
        refused->data = NULL;
    }
    return effect;
}

static void bury_because(struct consumer_message *message, enum consumer_cause cause, const char *reason) {
    message->outcome = CONSUMER_HOPELESS;
    message->cause = cause;
    snprintf(message->reason, sizeof message->reason, "%s", reason);
}

/* Applies the events in their order to the locked orders. changed receives the orders that changed. */
static size_t apply_events(struct status_work *work, struct order orders[], size_t order_count) {
    struct consumer_message *messages = work->messages;
    const struct order_status_event *events = work->events;
    struct status_effect *effects = work->effects;
    size_t n = work->n;
    bool dirty[CONSUMER_BATCH] = {false};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        effects[i] = (struct status_effect){NOTHING, ORDER_CANCEL_NONE};
        if (messages[i].outcome != CONSUMER_DONE)
            continue;
        struct order *order = order_with_id(orders, order_count, &events[i].order_id);
        if (!order) { /* orders are committed before they are published */
            bury_because(&messages[i], CONSUMER_UNKNOWN_ORDER, "there is no such order");
        } else if (order_contradicts(order, events[i].status)) {
            bury_because(&messages[i], CONSUMER_CONTRADICTION,
                         "the order says the opposite: one is cancelled, one has left");
        } else {
            effects[i] = apply_event(work, order, i);
            dirty[order - orders] |= effects[i].effect != NOTHING;
        }
    }
    for (size_t i = 0; i < order_count; i++)
        if (dirty[i])
            work->changed[count++] = &orders[i];
    return count;
}

static enum db_status update_orders(struct db *db, void *arg) {
    struct status_work *work = arg;
    struct order *orders;
    size_t count;
    enum db_status status = order_store_lock(db, work->ids, work->id_count, work->arena, &orders, &count);
    if (status != DB_OK)
        return status;
    work->changed_count = apply_events(work, orders, count);
    if (work->arena->failed)
        return DB_NO_MEMORY;
    if (!work->changed_count)
        return DB_OK;
    return order_store_update(db, work->changed, work->changed_count, work->history, work->history_count);
}

static void remember_views(struct status_consumer *self, const struct db *db,
                           const struct order *const orders[], size_t n) {
    struct order_views views = {.cache = self->cache,
                                .memory = self->app->memory,
                                .identity = self->app->service.identity,
                                .ttl_ms = self->app->service.config->order_view_ttl};
    uint8_t database[DB_IDENTITY_SIZE];
    if (!db_identity_of(db, database))
        return;
    pthread_mutex_lock(&self->lock);
    order_views_put(&views, database, orders, n);
    pthread_mutex_unlock(&self->lock);
}

static void measure_updates(const struct order_app *app, const struct order_status_event events[],
                            const struct status_effect effects[], size_t n) {
    int64_t now = clock_epoch_ms();
    for (size_t i = 0; i < n; i++) {
        if (effects[i].effect == MOVED)
            metric_add(app->series.moved[events[i].status], 1);
        metric_add(app->series.cancellations[effects[i].decided], 1);
        if (effects[i].effect && events[i].changed_ms > 0 && events[i].changed_ms <= now)
            metric_observe(app->series.status_delay, (now - events[i].changed_ms) * 1000000, NULL);
    }
}

static enum db_status handle_status(void *cls, struct db *db, struct consumer_message messages[], size_t n) {
    struct order_status_event events[CONSUMER_BATCH];
    struct uuid ids[CONSUMER_BATCH];
    const struct order *changed[CONSUMER_BATCH];
    struct status_effect effects[CONSUMER_BATCH] = {{NOTHING, ORDER_CANCEL_NONE}};
    struct arena arena = {0};
    struct status_work work = {.messages = messages,
                               .n = n,
                               .events = events,
                               .ids = ids,
                               .arena = &arena,
                               .effects = effects,
                               .changed = changed};
    work.id_count = parse_events(messages, n, &arena, events, ids);
    enum db_status status = arena.failed ? DB_NO_MEMORY : DB_OK;
    if (status == DB_OK && work.id_count)
        status = db_transaction(db, update_orders, &work);
    if (status == DB_OK && work.changed_count) {
        measure_updates(((struct status_consumer *)cls)->app, events, effects, n);
        feed_wake(((struct status_consumer *)cls)->app->feed);
        remember_views(cls, db, changed, work.changed_count);
    }
    arena_free(&arena);
    return status;
}

void *status_consumer_start(void *app) {
    static const struct service_part part = {.queue = config_status_queue,
                                             .probe = &order_store_probe,
                                             .consume = handle_status,
                                             .action = "update orders"};
    struct status_consumer *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->app = app;
    pthread_mutex_init(&self->lock, NULL);
    struct service *service = &self->app->service;
    struct cache_options cache = service_cache(service);
    self->cache = cache_open(&cache);
    if (self->cache)
        self->consumer = service_consumer(service, &part, self);
    if (self->consumer)
        return self;
    status_consumer_stop(self, 0);
    return NULL;
}

void status_consumer_stop(void *consumer, int64_t deadline_ms) {
    struct status_consumer *self = consumer;
    (void)deadline_ms;
    consumer_stop(self->consumer);
    cache_close(self->cache);
    pthread_mutex_destroy(&self->lock);
    free(self);
}
