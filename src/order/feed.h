/* The live end of the feed: streams and long polls that follow it. One thread reads new events, once for all of them. It is
 * woken by changes of this process, and by NOTIFY from other replicas, and looks each second anyway.
 *
 * A reader that is at the end of the feed is live: it gets each event as it is read. Another one is behind, because it
 * began in the past or its client is slow: it gets pages of its own from the database, as fast as it takes them. */
#pragma once

#include "common/base/attributes.h"
#include "common/http/request.h"
#include "order_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed;

/* The part's functions. feed_drain ends all streams and long polls, and refuses new ones; before http_stop. */
void *feed_start(void *app);
void feed_stop(void *feed, int64_t deadline_ms);
void feed_drain(struct feed *feed);

/* This process has committed a change. Any thread. */
void feed_wake(struct feed *feed);

/* What a request wants to follow. The filter's text must live as long as the request. */
struct feed_place {
    struct event_filter filter;
    struct event_position after;
    bool resync; /* events after this position are gone: the client is told first */
};

/* The following are for the run of a route. False when there are too many readers, or the process drains: nothing was
 * done then.
 *
 * feed_stream answers with a stream of server-sent events. It ends when the caller's token does.
 * feed_wait keeps the request, and answers with a page (event_page_reply) once there is an event, or after wait_ms. */
bool feed_stream(struct feed *feed, struct http_request *request, const struct feed_place *place) MUST_CHECK;
bool feed_wait(struct feed *feed, struct http_request *request, const struct feed_place *place, size_t limit,
               int64_t wait_ms) MUST_CHECK;
