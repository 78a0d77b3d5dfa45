/* An event of an order's history: its type, its position in the feed, and its JSON. Pure.
 *
 * Positions sort by visibility: whoever has seen a position never misses a lower one (sql/order/011_order_events.sql). */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum order_event_type {
    ORDER_EVENT_CREATED,
    ORDER_EVENT_SHIPPED,
    ORDER_EVENT_DELIVERED,
    ORDER_EVENT_TRACKING_CHANGED,
    ORDER_EVENT_CANCEL_REQUESTED,
    ORDER_EVENT_CANCELLED,
    ORDER_EVENT_CANCEL_REFUSED,
    ORDER_EVENT_TYPES
};

/* "order.created" ... */
const char *order_event_type_name(enum order_event_type type);
bool order_event_type_parse(const char *name, enum order_event_type *out) MUST_CHECK;

/* The type of an event of the shipment that moved the order from one status to another, or changed it within one. */
enum order_event_type order_event_type_of(enum order_status before, enum order_status after);

struct event_position {
    int64_t epoch, xid;
    int32_t n;
};

/* As text it has 32 hexadecimal digits, which sort as the positions do. */
#define EVENT_ID_SIZE 33
void event_position_format(const struct event_position *position, char text[static EVENT_ID_SIZE]);
/* Accepts exactly that form, in lower case. */
bool event_position_parse(const char *text, struct event_position *out) MUST_CHECK;
int event_position_compare(const struct event_position *a, const struct event_position *b);
/* Whether it is before the first event. */
bool event_position_is_none(const struct event_position *position);
/* Whether events behind it have left the feed, whose floor this is. */
bool event_position_has_left(const struct event_position *position, const struct event_position *floor);

struct order_event {                /* strings belong to the arena it was made in, or to its maker */
    struct event_position position; /* given by the database */
    enum order_event_type type;
    struct uuid order_id;
    const char *client_id, *customer_id;
    const char *previous_status; /* NULL: the order is new */
    const char *status;
    const char *actor; /* such as "delivery-service"; NULL: the client */
    const char *request_id;
    const char *trace_id; /* NULL: none */
    /* A JSON object; NULL: what the order has, its total, currency and reference, or the reason of its cancellation. */
    const char *data;
    int64_t total;                    /* of the order, in its currency's smallest unit */
    const char *currency, *reference; /* of the order; NULL: none */
    const char *cancellation_reason;  /* of the order; NULL: none */
    int64_t occurred_ms;
};

/* An event as GET /events shows it, and as webhooks send it. */
void order_event_json(struct buf *out, const struct order_event *event);

/* What a change tells besides the status: tracking number and carrier. */
void order_event_changed_data(struct buf *out, const struct order *order);

/* Which events somebody wants. Text is borrowed. */
struct event_filter {
    const char *client_id;       /* NULL: of all clients */
    const struct uuid *order_id; /* NULL: of all orders */
    const char *customer_id;     /* NULL: of all customers */
    unsigned types;              /* a bit for each type, 1 << type; 0: all */
};

bool event_filter_matches(const struct event_filter *filter, const struct order_event *event);
