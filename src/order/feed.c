/* The live end of the feed: how streams and long polls come and go. */
#include "feed_private.h"

#include "common/base/clock.h"
#include "common/db/session.h"
#include "events.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void count_readers(const struct feed_reader *reader, int64_t more) {
    const struct order_series *series = &reader->feed->app->series;
    metric_add(reader->stream ? series->feed_streams : series->feed_polls, more);
}

static void feed_append(struct feed *feed, struct feed_reader *reader) {
    reader->next = NULL;
    reader->link = feed->end;
    *feed->end = reader;
    feed->end = &reader->next;
}

static void feed_take_out(struct feed *feed, struct feed_reader *reader) {
    *reader->link = reader->next;
    if (reader->next)
        reader->next->link = reader->link;
    else
        feed->end = reader->link;
}

void feed_link(struct feed_reader *reader) {
    feed_append(reader->feed, reader);
    reader->feed->count++;
    count_readers(reader, 1);
}

void feed_move_back(struct feed_reader *reader) {
    feed_take_out(reader->feed, reader);
    feed_append(reader->feed, reader);
}

void feed_drop(struct feed_reader *reader) {
    feed_take_out(reader->feed, reader);
    reader->feed->count--;
    count_readers(reader, -1);
    feed_reader_free(reader);
}

const struct event_position *feed_reached(const struct feed_reader *reader) {
    const struct event_position *tail = &reader->feed->tail, *after = &reader->place.after;
    return reader->live && event_position_compare(tail, after) > 0 ? tail : after;
}

void feed_answer_poll(struct feed_reader *reader) {
    struct http_request *request = reader->request;
    event_page_reply(request, &reader->out, feed_reached(reader));
    feed_drop(reader);
    http_answer(request);
}

void feed_end_stream(struct feed_reader *reader) {
    if (reader->over)
        return;
    feed_reader_end(reader);
    http_stream_wake(reader->stream);
}

void feed_nudge(struct feed *feed) {
    (void)!write(feed->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* ---- Streams, on HTTP threads ---- */

static ssize_t read_follower(void *cls, char *out, size_t size) {
    struct feed_reader *reader = cls;
    struct feed *feed = reader->feed;
    pthread_mutex_lock(&feed->lock);
    bool failed = reader->out.failed; /* the client comes again, and goes on where it was */
    ssize_t taken = failed ? 0 : (ssize_t)feed_reader_take(reader, out, size);
    bool wants_page = !reader->live && reader->out.len == 0;
    bool over = failed || (reader->over && taken == 0);
    pthread_mutex_unlock(&feed->lock);
    if (wants_page && taken > 0)
        feed_nudge(feed);
    return over ? -1 : taken;
}

static void close_follower(void *cls) {
    struct feed_reader *reader = cls;
    struct feed *feed = reader->feed;
    pthread_mutex_lock(&feed->lock);
    reader->gone = true;
    if (!reader->fetching)
        feed_drop(reader);
    pthread_mutex_unlock(&feed->lock);
}

/* ---- Coming ---- */

/* A client may have half of the places. However many there are, a quarter of the connections is for other requests. */
static bool has_place(const struct feed *feed, const struct http_request *request) {
    const struct config *config = feed->app->service.config;
    size_t most = (size_t)config->stream_limit, connections = (size_t)config->http_max_connections, own = 0;
    if (most > connections - connections / 4)
        most = connections - connections / 4;
    for (const struct feed_reader *reader = feed->first; reader; reader = reader->next)
        own += strcmp(reader->client, request->claims.client_id) == 0;
    return !feed->draining && feed->count < most && own < (most + 1) / 2;
}

/* Takes the lock if there is a place for the reader. Else frees it. */
static bool enter_feed(struct feed *feed, struct feed_reader *reader) {
    if (!reader)
        return false;
    pthread_mutex_lock(&feed->lock);
    reader->given = feed->app->series.feed_events;
    if (has_place(feed, reader->request))
        return true;
    pthread_mutex_unlock(&feed->lock);
    feed_reader_free(reader);
    return false;
}

bool feed_stream(struct feed *feed, struct http_request *request, const struct feed_place *place) {
    static const struct http_stream_source source = {read_follower, close_follower};
    struct feed_reader *reader = feed_reader_new(feed, request, place);
    if (!enter_feed(feed, reader))
        return false;
    reader->due_ms = clock_mono_ms() + FEED_BEAT_MS;
    reader->stream = http_reply_stream(request, "text/event-stream", &source, reader);
    if (reader->stream) {
        feed_reader_greet(reader);
        feed_link(reader);
    }
    pthread_mutex_unlock(&feed->lock);
    if (!reader->stream) /* out of memory: the server answers 503 */
        feed_reader_free(reader);
    feed_nudge(feed);
    return true;
}

bool feed_wait(struct feed *feed, struct http_request *request, const struct feed_place *place, size_t limit,
               int64_t wait_ms) {
    struct feed_reader *reader = feed_reader_new(feed, request, place);
    if (!enter_feed(feed, reader))
        return false;
    reader->limit = limit;
    reader->due_ms = clock_mono_ms() + wait_ms;
    http_keep(request);
    feed_link(reader);
    pthread_mutex_unlock(&feed->lock);
    feed_nudge(feed);
    return true;
}

void feed_wake(struct feed *feed) {
    if (feed && !atomic_exchange(&feed->changed, true))
        feed_nudge(feed);
}

/* ---- Start and stop ---- */

/* The partitions are there before the first order: after a long stop there is none for today. */
void *feed_start(void *app) {
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return NULL;
    feed->app = app;
    feed->outage.name = "live feed";
    feed->end = &feed->first;
    struct db_options db = service_db_of(&feed->app->service, DB_PROMPT);
    feed->db = db_open(&db);
    feed->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&feed->lock, NULL);
    if (feed->db && feed_keep_history(feed) != DB_OK)
        outage_begin(&feed->outage, "%s", db_error(feed->db));
    if (feed->db && feed->wake_fd >= 0 && pthread_create(&feed->thread, NULL, feed_follow, feed) == 0)
        return feed;
    if (feed->wake_fd >= 0)
        close(feed->wake_fd);
    db_close(feed->db);
    free(feed);
    return NULL;
}

void feed_drain(struct feed *feed) {
    pthread_mutex_lock(&feed->lock);
    feed->draining = true;
    for (struct feed_reader *reader = feed->first, *next; reader; reader = next) {
        next = reader->next;
        if (reader->gone) /* its stream, too */
            continue;
        if (reader->stream)
            feed_end_stream(reader);
        else if (reader->fetching)
            reader->over = true; /* answered once its page was read */
        else
            feed_answer_poll(reader);
    }
    pthread_mutex_unlock(&feed->lock);
}

void feed_stop(void *cls, int64_t deadline_ms) {
    struct feed *feed = cls;
    (void)deadline_ms;
    atomic_store(&feed->stopping, true);
    feed_nudge(feed);
    pthread_join(feed->thread, NULL);
    db_watch_end(feed->watch);
    close(feed->wake_fd);
    db_close(feed->db);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}
