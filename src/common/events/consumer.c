/* The consumer threads: receive a batch, let the daemon apply it, delete what it accepted, release the rest. */
#include "common/events/consumer.h"

#include "busy_shards.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"
#include "consumer_series.h"
#include "consumer_trace.h"
#include "gather.h"
#include "hold.h"
#include "receives.h"
#include "retry.h"
#include "settle.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    OUTAGE_BASE_MS = 100,
    OUTAGE_CAP_MS = 5000,
    OUTAGE_QUIET_MS = 1000, /* one worker may succeed while another one fails */
    HIDE_RETRY_MS = 2000,
    MOST_BUSY = 3, /* messages of a batch that wait for a lock, one after the other */
};

struct worker {
    struct consumer *consumer;
    unsigned shard; /* of the queue, that it receives from */
    bool polls;     /* the first one of its shard */
    pthread_t thread;
    struct queue *receiver; /* only receives: a stop interrupts it */
    struct queue *queue;    /* deletes and releases, also while stopping */
    struct db *db;
    unsigned failures; /* in a row, of receiving or of the database */
    struct receives receives;
    int64_t hidden_ms; /* when the visibility timeout of the batch last began */
};

struct consumer {
    struct consumer_options options;
    atomic_bool stopping;
    char name[128];             /* for the log */
    struct outage outage;       /* of a part that all workers need */
    atomic_ullong dead_letters; /* messages given up since the start */
    int stop_fd;                /* readable once stopping */
    struct busy_shards shards;
    atomic_uint holding; /* workers that hold what the database does not take */
    size_t count;
    struct consumer_series series;
    struct worker workers[];
};

static bool stopping(const struct worker *w) {
    return atomic_load(&w->consumer->stopping);
}

/* Waits longer after each failure in a row. A stop ends the wait. */
static void consumer_rest(struct worker *w, const char *part, const char *why) {
    outage_begin(&w->consumer->outage, "%s: %s", part, why);
    struct pollfd fd = {.fd = w->consumer->stop_fd, .events = POLLIN};
    (void)poll(&fd, 1, (int)backoff_ms(w->failures, OUTAGE_BASE_MS, OUTAGE_CAP_MS));
    w->failures++;
}

/* Whichever worker failed: it may have nothing to do for long, and would not tell. Only one that holds messages tells itself. */
static void recovered(struct worker *w) {
    if (atomic_load(&w->consumer->holding) == 0)
        outage_end(&w->consumer->outage);
    w->failures = 0;
}

static unsigned most_receives(const struct worker *w) {
    return (unsigned)queue_max_receive_count(w->receiver);
}

static enum db_status handle(struct worker *w, struct consumer_message messages[], size_t n) {
    const struct consumer_options *o = &w->consumer->options;
    struct span span;
    consumer_trace_apply(&span, messages, n);
    for (size_t i = 0; i < n; i++) {
        messages[i].cause = CONSUMER_MALFORMED;
        messages[i].busy = false;
    }
    enum db_status status = o->handle(o->app, w->db, messages, n);
    consumer_trace_applied(&span, o->action, messages, n, status);
    for (size_t i = 0; i < n && status != DB_OK; i++) {
        messages[i].outcome = CONSUMER_RETRY;
        snprintf(messages[i].reason, sizeof messages[i].reason, "%s",
                 status == DB_NO_MEMORY ? "out of memory" : db_error(w->db));
    }
    for (size_t i = 0; i < n; i++)
        if (messages[i].outcome == CONSUMER_RETRY)
            messages[i].cause = status == DB_NO_MEMORY ? CONSUMER_NO_MEMORY : CONSUMER_REFUSED;
    return status;
}

/* Extends the visibility timeout once half of it has passed. Goes before whatever may take as long as a statement. */
static void keep_hidden(struct worker *w, const struct consumer_message messages[], size_t n) {
    const struct consumer *c = w->consumer;
    int seconds = c->options.queue.visibility_timeout_s;
    int64_t now_ms = clock_mono_ms(), half_ms = seconds * INT64_C(500);
    if (now_ms - w->hidden_ms < half_ms)
        return;
    w->hidden_ms = now_ms;
    if (!consumer_settle_hide(w->queue, c->name, messages, n, seconds)) /* tried again in a moment */
        w->hidden_ms -= half_ms > HIDE_RETRY_MS ? half_ms - HIDE_RETRY_MS : 0;
}

/* Applies each alone. One whose rows somebody holds keeps no other order waiting. After a few it is the table that is held. */
static enum db_status apply_each(struct worker *w, struct consumer_message messages[], size_t n) {
    int busy = 0;
    for (size_t i = 0; i < n; i++) {
        messages[i].reason[0] = '\0';
        messages[i].cause = CONSUMER_BLOCKED; /* unless it is tried */
    }
    for (size_t i = 0; i < n; i++) {
        keep_hidden(w, messages, n);
        if (retry_blocker(messages, i, most_receives(w)))
            continue;
        enum db_status one = handle(w, &messages[i], 1);
        messages[i].busy = db_is_busy(one);
        busy += messages[i].busy;
        if (one == DB_UNAVAILABLE || busy == MOST_BUSY)
            return DB_UNAVAILABLE;
    }
    return busy ? DB_UNAVAILABLE : DB_OK;
}

/* Applies all messages in one transaction, or, if one of them spoils it, each in its own. */
static enum db_status apply(struct worker *w, struct consumer_message messages[], size_t n) {
    enum db_status status = handle(w, messages, n);
    if (n == 1 && db_is_busy(status))
        return DB_UNAVAILABLE; /* the message is not at fault: no receive of it is used up */
    if (n == 1 || status == DB_OK || status == DB_UNAVAILABLE)
        return status;
    return apply_each(w, messages, n);
}

static enum db_status probe(struct worker *w) {
    return db_run(w->db, w->consumer->options.probe, NULL, NULL);
}

/* Another replica may reach the database that this one does not reach: so long it waits, as if this one had died. */
static int64_t shared_ms(const struct worker *w) {
    int64_t hidden_ms = w->consumer->options.queue.visibility_timeout_s * INT64_C(1000);
    return hidden_ms < HOLD_SHARED_MS ? hidden_ms : HOLD_SHARED_MS;
}

/* While one worker holds messages, others receive those of other orders. */
static enum db_status hold_rest(struct worker *w, struct consumer_message messages[], size_t n) {
    enum db_status status = DB_UNAVAILABLE;
    int64_t began_ms = clock_mono_ms(), shared_until_ms = began_ms + shared_ms(w);
    struct hold hold;
    hold_begin(&hold, began_ms);
    while (status == DB_UNAVAILABLE && !stopping(w) && hold_goes_on(&hold, began_ms)) {
        began_ms = clock_mono_ms();
        keep_hidden(w, messages, n);
        consumer_rest(w, "database", db_error(w->db));
        if (stopping(w))
            break;
        keep_hidden(w, messages, n);
        enum db_status probed = probe(w);
        if (probed == DB_UNAVAILABLE && clock_mono_ms() >= shared_until_ms &&
            !retry_any_is_last(messages, n, most_receives(w)))
            break; /* they go back, which uses up a receive */
        if (probed == DB_UNAVAILABLE)
            continue;
        shared_until_ms = clock_mono_ms() + shared_ms(w);
        keep_hidden(w, messages, n);
        busy_shards_set(&w->consumer->shards, w->shard, true);
        if (probed == DB_OK)
            status = apply(w, messages, n);
        hold_count(&hold, clock_mono_ms() - began_ms, probed == DB_OK);
    }
    return status;
}

/* What the database does not take now, e.g. during a failover or because its disk is full, is held and tried again. If it went
 * back, good messages would soon have used up their receives. While the database is away for long, only those at their last
 * receive are held. */
static enum db_status hold(struct worker *w, struct consumer_message messages[], size_t n) {
    struct consumer_message rest[CONSUMER_BATCH];
    size_t place[CONSUMER_BATCH], left = 0;
    consumer_settle_done(w->queue, w->consumer->name, messages, n);
    for (size_t i = 0; i < n; i++)
        if (!messages[i].settled) {
            place[left] = i;
            rest[left++] = messages[i];
        }
    atomic_fetch_add(&w->consumer->holding, 1);
    enum db_status status = hold_rest(w, rest, left);
    atomic_fetch_sub(&w->consumer->holding, 1);
    for (size_t i = 0; i < left; i++)
        messages[place[i]] = rest[i];
    return status;
}

static void log_failure(struct worker *w, const struct consumer_message *m, bool dead) {
    const char *correlation_id = m->message->correlation_id;
    char number[64] = "";
    if (dead)
        snprintf(number, sizeof number, ", dead letter number %llu since the start",
                 atomic_fetch_add(&w->consumer->dead_letters, 1) + 1);
    tracing_set_current(m->trace);
    log_write(dead ? LOG_ERROR : LOG_WARN, *correlation_id ? correlation_id : NULL,
              "%s: message %s of %s failed, receive %u of %d%s: %s", w->consumer->name, m->message->id,
              m->message->group_id, m->message->receive_count, queue_max_receive_count(w->receiver), number,
              m->reason);
    tracing_set_current(NULL);
}

/* Sends the messages that cannot succeed to the dead-letter queue. One that the queue does not take now is tried
 * again. */
static void bury(struct worker *w, struct consumer_message messages[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome != CONSUMER_HOPELESS)
            continue;
        keep_hidden(w, messages, n);
        bool dead = queue_bury(w->queue, messages[i].message, messages[i].reason) == QUEUE_OK;
        messages[i].outcome = dead ? CONSUMER_DONE : CONSUMER_RETRY;
        messages[i].buried = dead;
        if (dead) {
            log_failure(w, &messages[i], true);
            continue;
        }
        messages[i].cause = CONSUMER_UNBURIED;
        log_warn(NULL, "%s: cannot send message %s to the dead-letter queue: %s", w->consumer->name,
                 messages[i].message->id, queue_error(w->queue));
    }
}

/* Plans when each unfinished message is redelivered. One that failed for the last time: immediately, so that the
 * server moves it to the dead-letter queue. Those of one group: together, so that none overtakes another. */
static void plan_retries(struct worker *w, struct consumer_message messages[], size_t n, int seconds[]) {
    for (size_t i = 0; i < n; i++) {
        if (messages[i].outcome == CONSUMER_DONE)
            continue;
        const struct consumer_message *first = retry_blocker(messages, i, most_receives(w));
        seconds[i] = first ? seconds[first - messages] : retry_after_s(messages[i].message, most_receives(w));
        if (first && !messages[i].reason[0])
            continue;
        bool dead = retry_is_last(messages[i].message, most_receives(w));
        log_failure(w, &messages[i], dead);
        if (dead)
            messages[i].cause = CONSUMER_TOO_MANY_RECEIVES;
    }
}

/* The messages were asked for at asked_ns. False when the database is unavailable. */
static bool consumer_process(struct worker *w, const struct gathered *batch, int64_t asked_ns) {
    struct consumer_trace trace;
    struct consumer_message messages[CONSUMER_BATCH];
    int seconds[CONSUMER_BATCH] = {0}; /* when stopping: redeliver immediately, to another consumer */
    size_t n = batch->count;
    int64_t began_ns = clock_mono_ns();
    enum db_status status = DB_OK;
    for (size_t i = 0; i < n; i++)
        messages[i] = (struct consumer_message){.message = batch->messages[i], .cause = CONSUMER_STOPPING};
    consumer_trace_begin(&trace, w->consumer->options.queue.name, asked_ns, messages, n);
    if (!stopping(w)) {
        w->hidden_ms = batch->hidden_ms;
        keep_hidden(w, messages, n);
        status = apply(w, messages, n);
        if (status == DB_UNAVAILABLE)
            status = hold(w, messages, n);
        bury(w, messages, n);
        if (status != DB_UNAVAILABLE)
            plan_retries(w, messages, n, seconds);
        int pause = 1 + (int)random_below(2);
        for (size_t i = 0; i < n && status == DB_UNAVAILABLE; i++) {
            seconds[i] = pause;
            if (!messages[i].buried)
                messages[i].cause = CONSUMER_DATABASE_AWAY;
        }
    }
    consumer_settle(w->queue, w->consumer->name, messages, seconds, n);
    consumer_series_count(&w->consumer->series, messages, n);
    metric_observe(w->consumer->series.durations, clock_mono_ns() - began_ns, NULL);
    consumer_trace_end(&trace, messages, n);
    return status != DB_UNAVAILABLE;
}

/* The first worker of a shard long-polls. The others receive while it is busy, and do not wait. A server that does not
 * notice that its clients have gone (ElasticMQ) gives the next messages to each abandoned long poll. */
static enum queue_status consumer_receive(struct worker *w, struct gathered *batch) {
    batch->calls = batch->count = 0;
    if (!w->polls && !busy_shards_await(&w->consumer->shards, w->shard))
        return QUEUE_INTERRUPTED;
    enum queue_status status = gather(w->receiver, w->polls ? w->consumer->options.wait_s : 0, batch);
    if (batch->count >= QUEUE_BATCH)
        busy_shards_set(&w->consumer->shards, w->shard, true);
    else if (!w->polls)
        busy_shards_set(&w->consumer->shards, w->shard, false);
    return status;
}

static void *consume(void *cls) {
    pthread_setname_np(pthread_self(), "consumer");
    struct worker *w = cls;
    struct gathered batch = {0};
    bool database = false; /* last known state; while it is unavailable, messages stay in the queue */
    bool queue = true;     /* last known state */
    while (!stopping(w)) {
        /* A lost answer may have used up a receive of ten messages. So a call that takes none goes first. */
        if (!queue && queue_check(w->receiver) != QUEUE_OK) {
            consumer_rest(w, "queue", queue_error(w->receiver));
            continue;
        }
        queue = true;
        if (!database && probe(w) != DB_OK) {
            consumer_rest(w, "database", db_error(w->db));
            continue;
        }
        int64_t asked_ns = span_now();
        enum queue_status status = consumer_receive(w, &batch);
        if (status == QUEUE_OK) {
            recovered(w);
            if (*queue_error(w->receiver))
                log_error(NULL, "%s: %s", w->consumer->name, queue_error(w->receiver));
        }
        database = batch.count == 0 || consumer_process(w, &batch, asked_ns);
        gather_free(&batch);
        if (status == QUEUE_OK && w == w->consumer->workers) /* once for all; the shards are set alike */
            receives_compare(&w->receives, w->receiver, w->consumer->name);
        if (status != QUEUE_OK && status != QUEUE_INTERRUPTED) {
            consumer_rest(w, "queue", queue_error(w->receiver));
            queue = false;
        }
    }
    return NULL;
}

static void consumer_close_worker(struct worker *w) {
    queue_close(w->receiver);
    queue_close(w->queue);
    db_close(w->db);
}

static bool consumer_start_worker(struct consumer *c, struct worker *w) {
    struct queue_options queue = c->options.queue;
    size_t number = (size_t)(w - c->workers), shards = queue.shards ? queue.shards : 1;
    w->consumer = c;
    w->shard = queue.shard = (unsigned)(number % shards);
    w->polls = number < shards;
    receives_begin(&w->receives, &queue);
    w->receiver = queue_open(&queue);
    w->queue = queue_open(&queue);
    w->db = db_open(&c->options.db);
    if (w->receiver && w->queue && w->db && pthread_create(&w->thread, NULL, consume, w) == 0)
        return true;
    consumer_close_worker(w);
    return false;
}

struct consumer *consumer_start(const struct consumer_options *options) {
    struct consumer *c = calloc(1, sizeof *c + options->threads * sizeof c->workers[0]);
    if (!c)
        return NULL;
    c->options = *options;
    snprintf(c->name, sizeof c->name, "consumer of %s", options->queue.name);
    c->outage = (struct outage){.name = c->name, .quiet_ms = OUTAGE_QUIET_MS};
    consumer_series_make(&c->series, options->queue.name);
    busy_shards_init(&c->shards);
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    while (c->stop_fd >= 0 && c->count < options->threads && consumer_start_worker(c, &c->workers[c->count]))
        c->count++;
    if (c->stop_fd >= 0 && c->count == options->threads)
        return c;
    consumer_stop(c);
    return NULL;
}

void consumer_stop(struct consumer *c) {
    if (!c)
        return;
    atomic_store(&c->stopping, true);
    if (c->stop_fd >= 0)
        (void)!write(c->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    busy_shards_end(&c->shards);
    for (size_t i = 0; i < c->count; i++)
        queue_interrupt(c->workers[i].receiver);
    for (size_t i = 0; i < c->count; i++) {
        pthread_join(c->workers[i].thread, NULL);
        consumer_close_worker(&c->workers[i]);
    }
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    busy_shards_destroy(&c->shards);
    free(c);
}
