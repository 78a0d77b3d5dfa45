/* Applies status events to orders: one transaction for a batch of messages, then their views in Redis. */
#include "status_consumer.h"

#include "app.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "order_cache.h"
#include "order_json.h"
#include "order_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct status_consumer {
    struct order_app *app;
    struct consumer *consumer;
    pthread_mutex_t lock; /* of cache: the consumer may have several threads */
    struct cache *cache;
};

/* Parses all messages; those that are no event keep the reason. ids receives the orders they speak of. */
static size_t parse(struct consumer_message messages[], size_t n, struct arena *arena,
                    struct order_status_event events[], struct uuid ids[]) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct consumer_message *in = &messages[i];
        if (order_status_event_parse(in->message->body, in->message->body_len, arena, &events[i], in->reason,
                                     sizeof in->reason)) {
            in->outcome = CONSUMER_DONE;
            ids[count++] = events[i].order_id;
        } else {
            in->outcome = *in->reason ? CONSUMER_HOPELESS : CONSUMER_RETRY;
        }
    }
    return count;
}

static struct order *find(struct order orders[], size_t count, const struct uuid *id) {
    for (size_t i = 0; i < count; i++)
        if (uuid_compare(&orders[i].id, id) == 0)
            return &orders[i];
    return NULL;
}

/* Applies the events in their order to the locked orders; changed receives those that are different now. */
static size_t apply(struct consumer_message messages[], size_t n, const struct order_status_event events[],
                    struct order orders[], size_t order_count, const struct order *changed[]) {
    bool dirty[QUEUE_BATCH] = {false};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome != CONSUMER_DONE)
            continue;
        struct order *order = find(orders, order_count, &events[i].order_id);
        if (!order) {
            messages[i].outcome = CONSUMER_HOPELESS; /* orders are committed before anybody hears of them */
            snprintf(messages[i].reason, sizeof messages[i].reason, "there is no such order");
        } else if (order_apply_status(order, events[i].status, events[i].tracking_number, events[i].carrier,
                                      clock_epoch_ms())) {
            dirty[order - orders] = true;
        }
    }
    for (size_t i = 0; i < order_count; i++)
        if (dirty[i])
            changed[count++] = &orders[i];
    return count;
}

static enum db_status update(struct db *db, struct consumer_message messages[], size_t n, struct arena *arena,
                             const struct order *changed[], size_t *changed_count) {
    struct order_status_event events[QUEUE_BATCH];
    struct uuid ids[QUEUE_BATCH];
    struct order *orders;
    size_t order_count;
    size_t id_count = parse(messages, n, arena, events, ids);
    enum db_status status = id_count ? db_begin(db) : DB_OK;
    if (status != DB_OK || id_count == 0)
        return status;
    status = order_store_lock(db, ids, id_count, arena, &orders, &order_count);
    if (status == DB_OK) {
        *changed_count = apply(messages, n, events, orders, order_count, changed);
        if (*changed_count)
            status = order_store_update(db, changed, *changed_count);
    }
    if (status == DB_OK)
        status = db_commit(db);
    db_rollback(db); /* of what was not committed */
    return status;
}

static enum db_status handle(void *cls, struct db *db, struct consumer_message messages[], size_t n) {
    struct status_consumer *self = cls;
    const struct order *changed[QUEUE_BATCH];
    struct arena arena = {0};
    size_t count = 0;
    enum db_status status = update(db, messages, n, &arena, changed, &count);
    if (status == DB_OK && count) {
        pthread_mutex_lock(&self->lock);
        order_cache_put_views(self->cache, self->app->memory, changed, count,
                              self->app->config->order_view_ttl);
        pthread_mutex_unlock(&self->lock);
    }
    arena_free(&arena);
    return status;
}

struct status_consumer *status_consumer_start(struct order_app *app) {
    struct status_consumer *self = calloc(1, sizeof *self);
    struct cache_options cache;
    struct consumer_options options = {.threads = (unsigned)app->config->consumer_threads,
                                       .wait_s = (int)(app->config->sqs_wait_time / 1000),
                                       .probe = &order_store_probe,
                                       .handle = handle,
                                       .app = self};
    if (!self)
        return NULL;
    self->app = app;
    pthread_mutex_init(&self->lock, NULL);
    config_cache(app->config, &cache);
    cache.breaker = &app->redis_breaker;
    config_db(app->config, "order-svc consumer", &options.db);
    config_status_queue(app->config, &options.queue);
    options.queue.breaker = &app->sqs_breaker;
    self->cache = cache_open(&cache);
    self->consumer = self->cache ? consumer_start(&options) : NULL;
    if (self->consumer)
        return self;
    status_consumer_stop(self);
    return NULL;
}

void status_consumer_stop(struct status_consumer *self) {
    if (!self)
        return;
    consumer_stop(self->consumer);
    cache_close(self->cache);
    pthread_mutex_destroy(&self->lock);
    free(self);
}
