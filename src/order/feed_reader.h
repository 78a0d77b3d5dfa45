/* One reader of the live feed: what it has not been given yet. All calls under the feed's lock. */
#pragma once

#include "common/base/buf.h"
#include "common/http/stream.h"
#include "common/metrics/metrics.h"
#include "feed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    FEED_READER_BYTES = 16 * 1024, /* that wait for a client; beyond it is behind */
    FEED_BEAT_MS = 15000,          /* a stream that is silent for this long shows that it lives */
};

struct feed_reader {
    struct feed *feed;
    struct http_request *request; /* has the token's claims; not used when gone */
    struct http_stream *stream;   /* NULL: a long poll */
    struct feed_place place;      /* after: up to there all was given; of a live reader the feed knows */
    char *client, *customer;      /* what place borrows; client: the caller */
    struct uuid order_id;
    struct event_position told;  /* the id that the client knows */
    struct buf out;              /* bytes for the client */
    size_t count, limit;         /* events of a long poll */
    struct metric_series *given; /* counts the events */
    int64_t due_ms;              /* of a stream its next sign of life, of a long poll its end */
    int64_t looked_ms;           /* when it was last looked whether its client has hung up */
    bool live;
    bool fetching; /* the feed's thread reads a page for it */
    bool over;     /* it gets nothing more */
    bool gone;     /* its client is gone: free it when nothing is fetched for it */
    struct feed_reader *next, **link;
};

/* Copies the place. NULL when out of memory. */
struct feed_reader *feed_reader_new(struct feed *feed, struct http_request *request,
                                    const struct feed_place *place);
void feed_reader_free(struct feed_reader *reader);

/* Begins a stream: tells the client where it is, and how long it should wait before it comes again. */
void feed_reader_greet(struct feed_reader *reader);

/* Gives an event, if the reader wants it. False when it has no room: it stays where it was. json is the event. */
bool feed_reader_give(struct feed_reader *reader, const struct order_event *event, const struct buf *json);

/* Whether it has room for a page of its own. */
bool feed_reader_has_room(const struct feed_reader *reader);

/* Shows that the stream lives, and where it is. */
void feed_reader_beat(struct feed_reader *reader, const struct event_position *position, int64_t now_ms);

/* The last words of a stream. */
void feed_reader_end(struct feed_reader *reader);

/* Takes bytes out of it. */
size_t feed_reader_take(struct feed_reader *reader, char *out, size_t size);
