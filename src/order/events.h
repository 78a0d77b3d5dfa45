/* The handlers of the feed: GET /events and GET /orders/:id/events. *_prepare runs on an HTTP thread, *_run on a worker's
 * (common/http/server.h). */
#pragma once

#include "common/http/server.h"
#include "order_event.h"

void events_prepare(struct http_request *request);
void order_events_prepare(struct http_request *request);
enum outcome events_run(struct http_worker *worker, struct http_request *requests[], size_t n);

/* Answers with a page: events are JSON, separated by commas. The caller frees them. */
void event_page_reply(struct http_request *request, const struct buf *events,
                      const struct event_position *next);
