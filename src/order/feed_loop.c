/* The thread of the live feed: reads new events, and gives them to all who follow. */
#include "feed_private.h"

#include "common/auth/revocations.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/db/session.h"
#include "event_store.h"

#include <poll.h>
#include <unistd.h>

enum {
    IDLE_MS = 1000,
    SWEEP_MS = 250,   /* between looks at deadlines and tokens */
    KEEP_MS = 600000, /* between two looks at the partitions */
    READ_MS = 5,      /* between two looks, so that many changes are read at once */
    NOTIFY_MS = 50,   /* between two NOTIFYs to the other replicas */
    AGAIN_MS = 4,     /* until a transaction that holds events back may be over; grows */
    AGAIN_MOST_MS = 100,
    BACKOFF_CAP_MS = 2000,
    PAGE = 500,    /* events that are read at once for all live readers */
    OWN_PAGE = 50, /* for one that is behind */
    FETCHES = 64,  /* such pages in one turn */
};

static bool token_is_good(const struct feed *feed, const struct http_request *request) {
    const struct token_claims *claims = &request->claims;
    return claims->expires_at > clock_epoch_ms() / 1000 &&
           revocations_check(feed->app->service.auth.revocations, claims) != TOKEN_REVOKED;
}

/* Whether its client has hung up. That would show only once something is sent, and until then it had a place. */
static bool is_left(struct feed_reader *reader, int64_t now) {
    if (now - reader->looked_ms < IDLE_MS)
        return false;
    reader->looked_ms = now;
    return http_client_is_gone(reader->request);
}

static void sweep_reader(struct feed *feed, struct feed_reader *reader, int64_t now) {
    bool done = !reader->over && (is_left(reader, now) || !token_is_good(feed, reader->request));
    if (!reader->stream) {
        if (done || now >= reader->due_ms)
            feed_answer_poll(reader);
    } else if (done) {
        feed_end_stream(reader);
    } else if (!reader->over && now >= reader->due_ms && reader->out.len == 0) {
        feed_reader_beat(reader, feed_reached(reader), now);
        http_stream_wake(reader->stream);
    }
}

static void sweep(struct feed *feed) {
    int64_t now = clock_mono_ms();
    if (now - feed->swept_ms < SWEEP_MS)
        return;
    feed->swept_ms = now;
    pthread_mutex_lock(&feed->lock);
    for (struct feed_reader *reader = feed->first, *next; reader; reader = next) {
        next = reader->next;
        if (!reader->fetching && !reader->gone)
            sweep_reader(feed, reader, now);
    }
    pthread_mutex_unlock(&feed->lock);
}

/* ---- The thread ---- */

/* Gives an event to the live readers. before is where one stays that has no room for it. */
static void give_to_all(struct feed *feed, const struct order_event *event,
                        const struct event_position *before) {
    struct buf json = {0};
    order_event_json(&json, event);
    for (struct feed_reader *reader = feed->first; reader; reader = reader->next) {
        if (!reader->live || reader->over ||
            event_position_compare(&event->position, &reader->place.after) <= 0)
            continue;
        if (!json.failed && feed_reader_give(reader, event, &json))
            continue;
        reader->live = false;
        if (event_position_compare(before, &reader->place.after) > 0)
            reader->place.after = *before;
    }
    buf_free(&json);
}

/* Those who were given something: streams send it, long polls are answered. */
static void deliver(struct feed *feed) {
    for (struct feed_reader *reader = feed->first, *next; reader; reader = next) {
        next = reader->next;
        if (reader->fetching || reader->gone || reader->out.len == 0)
            continue;
        if (reader->stream)
            http_stream_wake(reader->stream);
        else
            feed_answer_poll(reader);
    }
}

/* The tail never goes back, also when the database has lost events. The caller holds the lock. */
static void move_tail(struct feed *feed, const struct event_position *reached) {
    if (event_position_compare(reached, &feed->tail) > 0)
        feed->tail = *reached;
}

/* Reads what is new, once for all live readers. */
static enum db_status read_new(struct feed *feed, const struct event_head *head) {
    struct event_position at = feed->tail; /* only this thread changes it */
    size_t count = PAGE;
    enum db_status status = DB_OK;
    while (status == DB_OK && count == PAGE) {
        struct arena arena = {0};
        struct order_event *events;
        struct event_page page = {.after = at, .end = &head->end, .limit = PAGE};
        status = event_store_read(feed->db, &page, &arena, &events, &count);
        pthread_mutex_lock(&feed->lock);
        for (size_t i = 0; status == DB_OK && i < count; i++) {
            give_to_all(feed, &events[i], &at);
            at = events[i].position;
        }
        if (status == DB_OK)
            move_tail(feed, count < PAGE ? &head->reached : &at);
        deliver(feed);
        pthread_mutex_unlock(&feed->lock);
        arena_free(&arena);
    }
    return status;
}

static bool has_live(struct feed *feed) {
    pthread_mutex_lock(&feed->lock);
    const struct feed_reader *reader = feed->first;
    while (reader && !reader->live)
        reader = reader->next;
    pthread_mutex_unlock(&feed->lock);
    return reader;
}

/* The next reader that is behind and has room. It is not freed before fetched, and comes last the next time: one that has
 * much to read and wants little of it keeps nobody waiting. A reader that began at the end is live without a page. */
static struct feed_reader *begin_fetch(struct feed *feed) {
    pthread_mutex_lock(&feed->lock);
    struct feed_reader *reader = feed->first;
    for (; reader; reader = reader->next) {
        if (reader->live || reader->over || reader->gone || !feed_reader_has_room(reader))
            continue;
        reader->live = event_position_compare(&reader->place.after, &feed->tail) >= 0;
        if (!reader->live)
            break;
    }
    if (reader) {
        reader->fetching = true;
        feed_move_back(reader);
    }
    pthread_mutex_unlock(&feed->lock);
    return reader;
}

/* Gives a reader its own page. It is live when that was all. */
static void give_page(struct feed_reader *reader, const struct order_event events[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct buf json = {0};
        order_event_json(&json, &events[i]);
        bool given = !json.failed && feed_reader_give(reader, &events[i], &json);
        buf_free(&json);
        if (!given)
            return;
        reader->place.after = events[i].position;
    }
    reader->live = count < OWN_PAGE;
    if (reader->live)
        reader->place.after = reader->feed->tail;
}

/* Its client comes again. If what it would have read has left the feed, it is told then. */
static void end_reader(struct feed_reader *reader) {
    if (reader->stream)
        feed_end_stream(reader);
    else
        feed_answer_poll(reader);
}

static enum db_status fetch_page(struct feed *feed, const struct event_position *floor,
                                 struct feed_reader *reader) {
    struct arena arena = {0};
    struct order_event *events;
    size_t count = 0;
    struct event_page page = {.client_id = reader->place.filter.client_id,
                              .order_id = reader->place.filter.order_id,
                              .after = reader->place.after,
                              .end = &feed->tail,
                              .limit = OWN_PAGE};
    enum db_status status = event_store_read(feed->db, &page, &arena, &events, &count);
    pthread_mutex_lock(&feed->lock);
    reader->fetching = false;
    if (reader->gone)
        feed_drop(reader);
    else if (reader->over ? !reader->stream : event_position_has_left(&reader->place.after, floor))
        end_reader(reader);
    else if (status == DB_OK && !reader->over)
        give_page(reader, events, count);
    pthread_mutex_unlock(&feed->lock);
    arena_free(&arena);
    return status;
}

static enum db_status catch_up(struct feed *feed, const struct event_position *floor, bool *more) {
    enum db_status status = DB_OK;
    struct feed_reader *reader;
    int left = FETCHES;
    while (status == DB_OK && left-- > 0 && (reader = begin_fetch(feed)) != NULL)
        status = fetch_page(feed, floor, reader);
    *more = left < 0;
    pthread_mutex_lock(&feed->lock);
    deliver(feed);
    pthread_mutex_unlock(&feed->lock);
    return status;
}

/* NOTIFY takes a lock that is one for the whole server until its transaction ends. So it has its own transaction, which
 * writes nothing, and there are few. */
static enum db_status tell_others(struct feed *feed) {
    static const struct db_query notify = {"feed_notify", "SELECT pg_notify('order_events', '')"};
    int64_t now = clock_mono_ms();
    if (!feed->owed || now - feed->notified_ms < NOTIFY_MS)
        return DB_OK;
    feed->owed = false;
    feed->notified_ms = now;
    return db_run(feed->db, &notify, NULL, NULL);
}

static void feed_hear(void *cls) {
    struct feed *feed = cls;
    if (!atomic_exchange(&feed->heard, true))
        feed_nudge(feed);
}

/* Other replicas are listened to once somebody reads here. Without memory for it, each second is soon enough. */
static void listen(struct feed *feed) {
    const struct db_watch_options options = {.channel = "order_events", .wake = feed_hear, .cls = feed};
    if (!feed->watch)
        feed->watch = db_session_watch(feed->app->service.session, &options);
}

/* Reads what there is. *again_ms receives when to look again, at the latest. */
static enum db_status read_feed(struct feed *feed, bool woken, int64_t *again_ms) {
    struct event_head head;
    bool more = false;
    enum db_status status = event_store_head(feed->db, &head);
    if (status != DB_OK)
        return status;
    if (woken) {
        feed->awaited_xid = head.next_xid;
        feed->again_ms = AGAIN_MS;
    }
    if (has_live(feed)) {
        status = read_new(feed, &head);
    } else {
        pthread_mutex_lock(&feed->lock);
        move_tail(feed, &head.reached);
        pthread_mutex_unlock(&feed->lock);
    }
    if (status == DB_OK)
        status = catch_up(feed, &head.floor, &more);
    bool held = head.end.xid < feed->awaited_xid;
    *again_ms = more ? 0 : held ? feed->again_ms : IDLE_MS;
    if (held && feed->again_ms < AGAIN_MOST_MS)
        feed->again_ms *= 2;
    return status;
}

static size_t readers_of(struct feed *feed) {
    pthread_mutex_lock(&feed->lock);
    size_t count = feed->count;
    pthread_mutex_unlock(&feed->lock);
    return count;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* What those who read here need. */
static enum db_status serve_readers(struct feed *feed, bool woken, int64_t *again_ms) {
    listen(feed);
    enum db_status status = read_feed(feed, woken, again_ms);
    sweep(feed);
    *again_ms = least(*again_ms, SWEEP_MS);
    return status;
}

enum db_status feed_keep_history(struct feed *feed) {
    int64_t now = clock_mono_ms();
    if (feed->keep_ms && now < feed->keep_ms)
        return DB_OK;
    enum db_status status = event_store_keep(feed->db, feed->app->service.config->events_retention);
    if (status == DB_OK)
        feed->keep_ms = now + KEEP_MS;
    return status;
}

/* One turn. Returns the milliseconds until the next. */
static int64_t feed_turn(struct feed *feed, bool notified) {
    int64_t again_ms = IDLE_MS;
    bool any = readers_of(feed) > 0, changed = atomic_exchange(&feed->changed, false);
    feed->owed |= changed;
    enum db_status status = any ? serve_readers(feed, changed || notified, &again_ms) : DB_OK;
    if (status == DB_OK)
        status = tell_others(feed);
    if (status == DB_OK)
        status = feed_keep_history(feed);
    if (feed->owed && !any)
        atomic_store(&feed->changed, true); /* nobody here needs to be told of further changes */
    if (status != DB_OK) {
        outage_begin(&feed->outage, "%s", db_error(feed->db));
        return any ? SWEEP_MS : backoff_ms(feed->failures++, SWEEP_MS, BACKOFF_CAP_MS);
    }
    outage_end(&feed->outage);
    feed->failures = 0;
    return feed->owed ? least(again_ms, NOTIFY_MS) : again_ms;
}

void *feed_follow(void *cls) {
    pthread_setname_np(pthread_self(), "feed");
    struct feed *feed = cls;
    bool notified = true;
    while (!atomic_load(&feed->stopping)) {
        uint64_t wakes;
        int64_t pause_ms = feed_turn(feed, notified);
        if (pause_ms > 0)
            clock_sleep_ms(READ_MS);
        struct pollfd wake = {.fd = feed->wake_fd, .events = POLLIN};
        (void)poll(&wake, 1, (int)pause_ms);
        (void)!read(feed->wake_fd, &wakes, sizeof wakes);
        notified = atomic_exchange(&feed->heard, false);
    }
    return NULL;
}
