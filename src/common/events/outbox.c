/* The outbox relay: one thread that reads rows in their order, publishes them, deletes them. */
#include "common/events/outbox.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"
#include "common/metrics/metrics.h"
#include "outbox_page.h"
#include "pace.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    IDLE_MS = 1000,
    BACKOFF_BASE_MS = 100,
    BACKOFF_CAP_MS = 5000,
    HOLD_MS = 30000,    /* until a group with a refused event is tried again */
    GIVE_UP = 5,        /* failures in a row to publish, until another replica may try */
    PAUSE_MS = 5000,    /* in which the one that gave up does not try to become active again */
    TAKE_MS = 3000,     /* until it is the active one after that, unless another one is */
    SWEEP_MS = 5000,    /* until the table is read from its start again */
    PASS_ON_MS = 10,    /* between two wakes that are passed on to the active relay */
    OVERLAP_IDS = 2000, /* that are read again with each page */
};

/* Within this time calls are begun, before the server is asked again. Those in flight then take as long as one takes. */
enum { PAGE_MS = 5000 };

struct outbox {
    const char *table;
    struct db *db;
    struct queue *queue;
    struct db_watch *watch;
    char names[4][80], sql[4][192];
    struct db_query rows, done, tell, ask;
    int wake_fd;
    atomic_bool stopping, committed; /* committed: rows were, since the last turn began */
    pthread_t thread;

    bool woken;       /* as committed, for the turn */
    bool active;      /* this replica publishes */
    bool queue_away;  /* nothing was published since the queue failed */
    int64_t judge_ms; /* not before, whether what failed works again */
    int64_t position; /* rows up to this id were read */
    int64_t sweep_ms; /* when the table is read from its start again */
    bool queue_known;
    unsigned failures;        /* in a row */
    size_t calls, most_calls; /* to the queue, at a time */
    char name[64];            /* for the log */
    struct outage outage;
    struct outbox_held held;
    int64_t held_until_ms;
    struct metric_series *published, *failed;
};

static bool failed(struct outbox *o, const char *part, const char *why) {
    o->failures++;
    if (!atomic_load(&o->stopping))
        outage_begin(&o->outage, "%s: %s", part, why);
    return false;
}

static bool queue_failed(struct outbox *o) {
    o->queue_away = true;
    return failed(o, "queue", queue_error(o->queue));
}

/* Goes on behind the rows that were read. The rows before are deleted, but as long as any old snapshot is open the
 * server has to step over each of them. Rows that were committed late have lower ids: the last ids are read again with
 * each page, and all of them every few seconds. */
static enum db_status read_page(struct outbox *o, struct db_result **rows) {
    int64_t now = clock_mono_ms();
    bool released = o->held.count > 0 && now >= o->held_until_ms; /* their first events are far behind */
    if (released)
        o->held.count = 0;
    if (released || now >= o->sweep_ms) {
        o->position = 0;
        o->sweep_ms = now + SWEEP_MS;
    }
    struct db_params params = {0};
    int held = db_array(&params, DB_UUID);
    for (size_t i = 0; i < o->held.count; i++)
        db_add_uuid(&params, held, &o->held.groups[i]);
    db_int_param(&params, o->position);
    enum db_status status = db_run(o->db, &o->rows, &params, rows);
    db_params_free(&params);
    return status;
}

/* This may reach another server than the page came from. After a failover that lost rows, it gives their ids to others. */
static enum db_status delete_sent(struct outbox *o, const struct outbox_sent *sent) {
    if (sent->count == 0)
        return DB_OK;
    struct db_params params = {0};
    int ids = db_array(&params, DB_INT), events = db_array(&params, DB_UUID);
    for (size_t i = 0; i < sent->count; i++) {
        db_add_int(&params, ids, sent->ids[i]);
        db_add_uuid(&params, events, &sent->events[i]);
    }
    enum db_status status = db_run(o->db, &o->done, &params, NULL);
    db_params_free(&params);
    return status;
}

/* Creates or checks the queue before the first event needs it. */
static bool find_queue(struct outbox *o) {
    if (!o->queue_known)
        o->queue_known = queue_ensure(o->queue) == QUEUE_OK;
    return o->queue_known || queue_failed(o);
}

/* Rows that were not sent are read again. */
static void note_position(struct outbox *o, const struct db_result *rows, size_t sent) {
    if (db_rows(rows) == 0)
        return;
    int64_t last = sent > 0 ? db_int(rows, db_rows(rows) - 1, OUTBOX_ID) : 0;
    o->position = sent == db_rows(rows) && last > OVERLAP_IDS ? last - OVERLAP_IDS : 0;
}

/* A queue that is away gets one call at a time. One that throttles is asked for less, and for more again by and by. */
static void adapt_calls(struct outbox *o, bool ok) {
    if (!ok)
        o->calls = 1;
    else if (o->calls < o->most_calls)
        o->calls++;
}

/* *more becomes true when rows were left for the next turn. */
static bool publish(struct outbox *o, const struct db_result *rows, bool *more) {
    struct outbox_sent sent;
    bool none_held = o->held.count == 0;
    bool ok = outbox_publish(o->queue, o->table, rows, o->calls, clock_mono_ms() + PAGE_MS, &o->held, &sent);
    adapt_calls(o, ok);
    metric_add(o->published, (int64_t)sent.count);
    metric_add(o->failed, !ok);
    if (none_held)
        o->held_until_ms = clock_mono_ms() + HOLD_MS;
    if (!ok)
        queue_failed(o);
    if (delete_sent(o, &sent) != DB_OK)
        return failed(o, "database", db_error(o->db));
    *more |= sent.count < db_rows(rows);
    note_position(o, rows, sent.count);
    return ok;
}

/* Whether this replica publishes. It begins at the first row. */
static bool outbox_leads(struct outbox *o) {
    bool active = db_watch_leads(o->watch);
    if (active && !o->active) {
        o->position = 0;
        if (o->failures == 0) /* after a failure there is another line for what goes on */
            log_info(NULL, "%s: this replica is the active one", o->name);
    }
    return o->active = active;
}

/* This replica cannot read or publish, though its session lasts: another one may have better luck. */
static void resign(struct outbox *o) {
    if (o->failures < GIVE_UP || !db_watch_leads(o->watch))
        return;
    if (o->failures == GIVE_UP)
        log_warn(NULL, "%s: this replica cannot publish and gives another one the chance", o->name);
    db_watch_yield(o->watch, PAUSE_MS);
    o->judge_ms = clock_mono_ms() + PAUSE_MS + TAKE_MS;
}

/* After a turn without a failure: whether what failed works again. Who published nothing asks the queue. Who does not lead waits
 * whether it will. */
static bool works_again(struct outbox *o, bool leads, bool published) {
    if (atomic_load(&o->stopping) || (!leads && clock_mono_ms() < o->judge_ms))
        return false;
    o->queue_away = o->queue_away && !published && queue_check(o->queue) != QUEUE_OK;
    if (o->queue_away)
        o->judge_ms = clock_mono_ms() + IDLE_MS;
    return !o->queue_away;
}

/* Reads a page if this replica publishes. Else tells the one that does that rows wait. After a failure it asks whether the
 * table can be read again. */
static enum db_status read_or_tell(struct outbox *o, bool woken, struct db_result **rows) {
    if (outbox_leads(o))
        return read_page(o, rows);
    enum db_status status = o->failures > 0 ? db_run(o->db, &o->ask, NULL, NULL) : DB_OK;
    return status == DB_OK && woken ? db_run(o->db, &o->tell, NULL, NULL) : status;
}

/* One turn of the relay: false when a part is away; *more when the next turn has work already. */
static bool turn(struct outbox *o, bool *more) {
    bool woken = o->woken;
    o->woken = false;
    struct db_result *rows = NULL;
    enum db_status status = read_or_tell(o, woken, &rows);
    if (status != DB_OK) {
        o->woken |= woken;
        return failed(o, "database", db_error(o->db));
    }
    bool ours = o->active && db_watch_leads(o->watch); /* else another relay may publish these rows */
    o->woken |= woken && o->active && !ours;
    *more = o->active && (!ours || db_rows(rows) == OUTBOX_PAGE_ROWS);
    bool ok = !ours || (find_queue(o) && publish(o, rows, more));
    if (ok && works_again(o, ours, ours && db_rows(rows) > 0)) {
        o->failures = 0;
        outage_end(&o->outage);
    }
    db_result_free(rows);
    return ok;
}

static void take_wake(struct outbox *o) {
    uint64_t count;
    (void)!read(o->wake_fd, &count, sizeof count);
    o->woken |= atomic_exchange(&o->committed, false);
}

/* A wake does not shorten it, but a stop does. */
static void outbox_rest(struct outbox *o, int64_t ms) {
    int64_t end = clock_mono_ms() + ms;
    for (int64_t left = ms; left > 0 && !atomic_load(&o->stopping); left = end - clock_mono_ms()) {
        struct pollfd fd = {.fd = o->wake_fd, .events = POLLIN};
        if (poll(&fd, 1, (int)left) > 0)
            take_wake(o);
    }
}

static void *relay(void *cls) {
    pthread_setname_np(pthread_self(), "relay");
    struct outbox *o = cls;
    for (;;) {
        take_wake(o);
        bool last = atomic_load(&o->stopping), more = false; /* a stop also wakes, so it is not missed */
        int64_t began_ms = clock_mono_ms();
        bool passes_on = o->woken && !o->active;
        bool ok = turn(o, &more);
        if (last)
            return NULL; /* the remaining rows stay in the table, for another replica or the next start */
        if (ok && more)
            continue;
        if (ok) {
            int64_t ended_ms = clock_mono_ms();
            struct pollfd wake = {.fd = o->wake_fd, .events = POLLIN};
            (void)poll(&wake, 1, IDLE_MS);
            int64_t rest_ms = o->active ? pace_rest_ms(ended_ms - began_ms) : passes_on ? PASS_ON_MS : 0;
            outbox_rest(o, rest_ms - (clock_mono_ms() - ended_ms));
        } else {
            resign(o);
            outbox_rest(o, backoff_ms(o->failures - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS));
        }
    }
}

static void outbox_free(struct outbox *o) {
    db_watch_end(o->watch);
    if (o->wake_fd >= 0)
        close(o->wake_fd);
    queue_close(o->queue);
    db_close(o->db);
    free(o);
}

/* Relays may share a connection, so a statement has the name of its table. That there are rows is only a hint. */
static void outbox_write_sql(struct outbox *o) {
    static const char *const kinds[] = {"rows", "done", "notify", "ask"};
    for (int i = 0; i < 4; i++)
        snprintf(o->names[i], sizeof o->names[i], "%s_%s", o->table, kinds[i]);
    snprintf(o->sql[0], sizeof o->sql[0],
             "SELECT " OUTBOX_COLUMNS " FROM %s WHERE group_id <> ALL ($1) AND id > $2 ORDER BY id LIMIT %d",
             o->table, OUTBOX_PAGE_ROWS);
    snprintf(o->sql[1], sizeof o->sql[1], "DELETE FROM %s WHERE id = ANY ($1) AND event_id = ANY ($2)",
             o->table);
    snprintf(o->sql[2], sizeof o->sql[2], "SELECT pg_notify('%s', '')", o->table);
    snprintf(o->sql[3], sizeof o->sql[3], "SELECT FROM %s LIMIT 1", o->table);
    o->rows = (struct db_query){o->names[0], o->sql[0]};
    o->done = (struct db_query){o->names[1], o->sql[1]};
    o->tell = (struct db_query){o->names[2], o->sql[2]};
    o->ask = (struct db_query){o->names[3], o->sql[3]};
}

/* The table is empty most of the time, so the planner assumes that it is, and would sort a whole backlog for each page.
 * A deletion that a crash of the server undoes publishes its events again, as one that was not reached. So none waits
 * for the disk. */
static struct db *outbox_open_db(const struct outbox_options *options) {
    static const struct db_query settings = {
        "outbox_settings",
        "SELECT set_config('synchronous_commit', 'off', true), set_config('enable_sort', 'off', true)"};
    struct db_options db = options->db;
    db.settings = &settings;
    return db_open(&db);
}

/* Another replica has committed rows, or this one leads now. */
static void outbox_hear(void *cls) {
    struct outbox *o = cls;
    (void)!write(o->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

struct outbox *outbox_start(const struct outbox_options *options) {
    struct outbox *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->table = options->table;
    snprintf(o->name, sizeof o->name, "relay of %s", options->table);
    o->outage.name = o->name;
    o->published = metric_series(METRIC_OUTBOX_EVENTS, METRIC_LABELS(o->table, "published"));
    o->failed = metric_series(METRIC_OUTBOX_EVENTS, METRIC_LABELS(o->table, "failed"));
    o->db = outbox_open_db(options);
    o->calls = 1;
    o->most_calls = options->queue.calls ? options->queue.calls : 1;
    o->queue = queue_open(&options->queue);
    o->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    outbox_write_sql(o);
    const struct db_watch_options watch = {.channel = o->table, .leads = true, .wake = outbox_hear, .cls = o};
    o->watch = o->wake_fd >= 0 ? db_session_watch(options->session, &watch) : NULL;
    if (o->db && o->queue && o->watch && pthread_create(&o->thread, NULL, relay, o) == 0)
        return o;
    outbox_free(o);
    return NULL;
}

void outbox_wake(struct outbox *o) {
    if (!o)
        return;
    atomic_store(&o->committed, true);
    outbox_hear(o);
}

void outbox_stop(struct outbox *o, int64_t deadline_ms) {
    if (!o)
        return;
    atomic_store(&o->stopping, true);
    outbox_wake(o);
    int64_t until = clock_epoch_ms() + deadline_ms - clock_mono_ms(); /* the join uses the wall clock */
    struct timespec limit = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    if (pthread_timedjoin_np(o->thread, NULL, &limit) != 0) {
        queue_interrupt(o->queue);
        pthread_join(o->thread, NULL);
    }
    outbox_free(o);
}
