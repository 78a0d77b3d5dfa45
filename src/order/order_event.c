/* Events of an order's history: names, positions, JSON, filters. */
#include "order_event.h"

#include "common/base/currency.h"
#include "common/base/json_write.h"
#include "common/token/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[ORDER_EVENT_TYPES] = {
    [ORDER_EVENT_CREATED] = "order.created",
    [ORDER_EVENT_SHIPPED] = "order.shipped",
    [ORDER_EVENT_DELIVERED] = "order.delivered",
    [ORDER_EVENT_TRACKING_CHANGED] = "order.tracking_changed",
    [ORDER_EVENT_CANCEL_REQUESTED] = "order.cancel_requested",
    [ORDER_EVENT_CANCELLED] = "order.cancelled",
    [ORDER_EVENT_CANCEL_REFUSED] = "order.cancel_refused",
};

const char *order_event_type_name(enum order_event_type type) {
    return type_names[type];
}

bool order_event_type_parse(const char *name, enum order_event_type *out) {
    for (size_t i = 0; i < ORDER_EVENT_TYPES; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out = (enum order_event_type)i;
            return true;
        }
    }
    return false;
}

enum order_event_type order_event_type_of(enum order_status before, enum order_status after) {
    if (before == after)
        return ORDER_EVENT_TRACKING_CHANGED;
    switch (after) {
    case ORDER_SHIPPED:
        return ORDER_EVENT_SHIPPED;
    case ORDER_DELIVERED:
        return ORDER_EVENT_DELIVERED;
    case ORDER_CANCELLED:
        return ORDER_EVENT_CANCELLED;
    case ORDER_PENDING_SHIPMENT:
        break;
    }
    return ORDER_EVENT_CREATED;
}

void event_position_format(const struct event_position *position, char text[static EVENT_ID_SIZE]) {
    snprintf(text, EVENT_ID_SIZE, "%08x%016llx%08x", (unsigned)position->epoch,
             (unsigned long long)position->xid, (unsigned)position->n);
}

bool event_position_parse(const char *text, struct event_position *out) {
    char epoch[9], xid[17];
    if (strlen(text) != EVENT_ID_SIZE - 1 || strspn(text, "0123456789abcdef") != EVENT_ID_SIZE - 1)
        return false;
    memcpy(epoch, text, 8);
    memcpy(xid, text + 8, 16);
    epoch[8] = xid[16] = '\0';
    unsigned long long number = strtoull(xid, NULL, 16);
    unsigned long n = strtoul(text + 24, NULL, 16);
    if (number > INT64_MAX || n > INT32_MAX)
        return false;
    *out = (struct event_position){
        .epoch = (int64_t)strtoul(epoch, NULL, 16), .xid = (int64_t)number, .n = (int32_t)n};
    return true;
}

int event_position_compare(const struct event_position *a, const struct event_position *b) {
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->xid != b->xid)
        return a->xid < b->xid ? -1 : 1;
    return (a->n > b->n) - (a->n < b->n);
}

bool event_position_is_none(const struct event_position *position) {
    return position->epoch == 0 && position->xid == 0;
}

bool event_position_has_left(const struct event_position *position, const struct event_position *floor) {
    return !event_position_is_none(position) && event_position_compare(position, floor) < 0;
}

static void optional_text(struct buf *out, const char *value) {
    if (value)
        json_append_text(out, value);
    else
        buf_str(out, "null");
}

static void append_actor(struct buf *out, const struct order_event *event) {
    char client[sizeof "client:" + TOKEN_CLIENT_ID_SIZE];
    snprintf(client, sizeof client, "client:%s", event->client_id);
    json_append_text(out, event->actor ? event->actor : client);
}

static bool tells_reason(enum order_event_type type) {
    return type == ORDER_EVENT_CANCEL_REQUESTED || type == ORDER_EVENT_CANCELLED ||
           type == ORDER_EVENT_CANCEL_REFUSED;
}

static void append_known(struct buf *out, const char *name, const char *value) {
    if (!value)
        return;
    buf_str(out, name);
    json_append_text(out, value);
}

static void append_data(struct buf *out, const struct order_event *event) {
    if (event->data) {
        buf_str(out, event->data);
    } else if (!tells_reason(event->type)) {
        buf_str(out, "{\"total_amount\":");
        currency_append(out, event->currency, event->total);
        append_known(out, ",\"currency\":", event->currency);
        append_known(out, ",\"reference\":", event->reference);
        buf_char(out, '}');
    } else {
        buf_str(out, "{\"reason\":");
        optional_text(out, event->cancellation_reason);
        if (event->type == ORDER_EVENT_CANCEL_REFUSED)
            buf_str(out, ",\"refusal\":\"" ORDER_REFUSAL "\"");
        buf_char(out, '}');
    }
}

void order_event_json(struct buf *out, const struct order_event *event) {
    char id[EVENT_ID_SIZE];
    event_position_format(&event->position, id);
    buf_str(out, "{\"id\":\"");
    buf_str(out, id);
    buf_str(out, "\",\"type\":");
    json_append_text(out, order_event_type_name(event->type));
    buf_str(out, ",\"order_id\":");
    json_append_uuid(out, &event->order_id);
    buf_str(out, ",\"occurred_at\":");
    json_append_time(out, event->occurred_ms);
    buf_str(out, ",\"previous_status\":");
    optional_text(out, event->previous_status);
    buf_str(out, ",\"status\":");
    json_append_text(out, event->status);
    buf_str(out, ",\"actor\":");
    append_actor(out, event);
    buf_str(out, ",\"data\":");
    append_data(out, event);
    buf_str(out, ",\"customer_id\":");
    json_append_text(out, event->customer_id);
    buf_str(out, ",\"request_id\":");
    json_append_text(out, event->request_id);
    buf_str(out, ",\"trace_id\":");
    optional_text(out, event->trace_id);
    buf_char(out, '}');
}

void order_event_changed_data(struct buf *out, const struct order *order) {
    buf_str(out, "{\"tracking_number\":");
    optional_text(out, order->tracking_number);
    buf_str(out, ",\"carrier\":");
    optional_text(out, order->carrier);
    buf_char(out, '}');
}

bool event_filter_matches(const struct event_filter *filter, const struct order_event *event) {
    return (!filter->types || (filter->types & 1u << event->type)) &&
           (!filter->client_id || strcmp(filter->client_id, event->client_id) == 0) &&
           (!filter->order_id || uuid_compare(filter->order_id, &event->order_id) == 0) &&
           (!filter->customer_id || strcmp(filter->customer_id, event->customer_id) == 0);
}
