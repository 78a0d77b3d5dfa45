/* Readers of the live feed: server-sent events (WHATWG HTML, section 9.2), and the events of a page. */
#include "feed_reader.h"

#include "common/base/clock.h"
#include "common/base/random.h"

#include <stdlib.h>
#include <string.h>

struct feed_reader *feed_reader_new(struct feed *feed, struct http_request *request,
                                    const struct feed_place *place) {
    struct feed_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->feed = feed;
    reader->request = request;
    reader->place = *place;
    reader->client = strdup(request->claims.client_id);
    reader->customer = place->filter.customer_id ? strdup(place->filter.customer_id) : NULL;
    if (!reader->client || (place->filter.customer_id && !reader->customer)) {
        feed_reader_free(reader);
        return NULL;
    }
    struct event_filter *filter = &reader->place.filter;
    filter->client_id = filter->client_id ? reader->client : NULL; /* a caller sees its own events, or all */
    filter->customer_id = reader->customer;
    if (filter->order_id) {
        reader->order_id = *filter->order_id;
        filter->order_id = &reader->order_id;
    }
    return reader;
}

void feed_reader_free(struct feed_reader *reader) {
    free(reader->client);
    free(reader->customer);
    buf_free(&reader->out);
    free(reader);
}

enum { COME_AGAIN_MS = 1000, SPREAD_MS = 4000 };

/* Not all at once. */
static void say_retry(struct buf *out) {
    buf_printf(out, "retry: %u\n", COME_AGAIN_MS + (unsigned)random_below(SPREAD_MS));
}

/* A block without data only sets the client's Last-Event-ID. */
static void say_id(struct feed_reader *reader, const struct event_position *position) {
    char id[EVENT_ID_SIZE];
    event_position_format(position, id);
    buf_printf(&reader->out, "id: %s\n", id);
    reader->told = *position;
}

void feed_reader_greet(struct feed_reader *reader) {
    say_retry(&reader->out);
    say_id(reader, &reader->place.after);
    if (reader->place.resync)
        buf_str(&reader->out,
                "event: resync\ndata: {\"reason\":\"events before this position are no longer kept\"}\n");
    buf_char(&reader->out, '\n');
}

static void give_to_stream(struct feed_reader *reader, const struct order_event *event,
                           const struct buf *json) {
    say_id(reader, &event->position);
    buf_printf(&reader->out, "event: %s\ndata: ", order_event_type_name(event->type));
    buf_append(&reader->out, json->data, json->len);
    buf_str(&reader->out, "\n\n");
}

static void give_to_page(struct feed_reader *reader, const struct buf *json) {
    if (reader->count++)
        buf_char(&reader->out, ',');
    buf_append(&reader->out, json->data, json->len);
}

static bool is_full(const struct feed_reader *reader) {
    return reader->out.len >= FEED_READER_BYTES || (!reader->stream && reader->count >= reader->limit);
}

bool feed_reader_give(struct feed_reader *reader, const struct order_event *event, const struct buf *json) {
    if (!event_filter_matches(&reader->place.filter, event))
        return true;
    if (is_full(reader))
        return false;
    if (reader->stream)
        give_to_stream(reader, event, json);
    else
        give_to_page(reader, json);
    metric_add(reader->given, 1);
    reader->due_ms = reader->stream ? clock_mono_ms() + FEED_BEAT_MS : reader->due_ms;
    return true;
}

bool feed_reader_has_room(const struct feed_reader *reader) {
    return reader->stream ? reader->out.len == 0 : !is_full(reader);
}

void feed_reader_beat(struct feed_reader *reader, const struct event_position *position, int64_t now_ms) {
    if (event_position_compare(&reader->told, position) < 0) {
        say_id(reader, position);
        buf_char(&reader->out, '\n');
    } else {
        buf_str(&reader->out, ":\n");
    }
    reader->due_ms = now_ms + FEED_BEAT_MS;
}

void feed_reader_end(struct feed_reader *reader) {
    say_retry(&reader->out);
    buf_char(&reader->out, '\n');
    reader->over = true;
}

size_t feed_reader_take(struct feed_reader *reader, char *out, size_t size) {
    if (!reader->out.data)
        return 0;
    size_t taken = reader->out.len < size ? reader->out.len : size;
    memcpy(out, reader->out.data, taken);
    if (taken == reader->out.len) {
        buf_free(&reader->out);
        return taken;
    }
    reader->out.len -= taken;
    memmove(reader->out.data, reader->out.data + taken, reader->out.len + 1);
    return taken;
}
