/* Reads status changes and the events of orders. Writes shipments, their audit trail and ORDER_STATUS_UPDATE. */
#include "shipment_json.h"

#include "common/base/json.h"
#include "common/base/json_write.h"
#include "common/events/event.h"

#include <stdio.h>
#include <string.h>

static void read_status(const json_t *body, struct shipment_change *change, struct http_faults *faults) {
    const char *name = json_member_string(body, "status");
    if (!name || !shipment_status_parse(name, &change->status))
        http_fault(faults, "", "status", "must be PROCESSING, SHIPPED, DELIVERED or CANCELLED");
}

/* Reads an optional member. NULL when it is missing or null. */
static const char *read_detail(const json_t *body, const char *name, struct arena *arena,
                               struct http_faults *faults) {
    const json_t *value = json_object_get(body, name);
    if (!value || json_is_null(value))
        return NULL;
    const char *text = json_string_value(value);
    if (text && json_text_plain(text, SHIPMENT_MAX_TEXT))
        return arena_strdup(arena, text);
    http_fault(faults, "", name, "must be 1 to %d characters without control characters", SHIPMENT_MAX_TEXT);
    return NULL;
}

bool shipment_change_parse(const char *text, size_t len, struct arena *arena, struct shipment_change *change,
                           struct http_faults *faults) {
    static const char *const known[] = {"status", "tracking_number", "carrier", NULL};
    char error[JSON_ERROR_SIZE];
    json_t *body = json_parse_object(text, len, error);
    if (!body) {
        http_fault(faults, "", NULL, "%s", error);
        return false;
    }
    http_fault_unknown(faults, body, "", known);
    read_status(body, change, faults);
    change->tracking_number = read_detail(body, "tracking_number", arena, faults);
    change->carrier = read_detail(body, "carrier", arena, faults);
    json_decref(body);
    return faults->count == 0;
}

static bool refuse_text(const char *name, char *reason, size_t reason_size) {
    snprintf(reason, reason_size, "%s is not 1 to %d characters without control characters", name,
             SHIPMENT_MAX_TEXT);
    return false;
}

/* Reads the customer and the client of an order. The client is not known to a sender of an earlier version. False when
 * one of them is not valid, with the reason. */
static bool read_parties(const json_t *event, struct arena *arena, struct shipment *shipment, char *reason,
                         size_t reason_size) {
    const json_t *client = json_object_get(event, "clientId");
    const char *customer_id = json_member_string(event, "customerId"), *client_id = json_string_value(client);
    const char *fault = NULL;
    if (!customer_id || !json_text_plain(customer_id, SHIPMENT_MAX_TEXT))
        fault = "customerId";
    else if (client && !(client_id && json_text_plain(client_id, SHIPMENT_MAX_TEXT)))
        fault = "clientId";
    if (fault)
        return refuse_text(fault, reason, reason_size);
    shipment->customer_id = arena_strdup(arena, customer_id);
    shipment->client_id = client_id ? arena_strdup(arena, client_id) : NULL;
    return true;
}

/* Reads that the shipment has left, and with what. False when the status is another one, with the reason. */
static bool read_state(const json_t *event, struct arena *arena, struct shipment *shipment,
                       enum shipment_order_event kind, char *reason, size_t reason_size) {
    static const char *const details[] = {"trackingNumber", "carrier"};
    const char **const fields[] = {&shipment->tracking_number, &shipment->carrier};
    const json_t *status = json_object_get(event, "status");
    shipment->status = SHIPMENT_PROCESSING;
    if (kind != SHIPMENT_ORDERED || !status || json_is_null(status))
        return true;
    if (!json_is_string(status) || strcmp(json_string_value(status), "SHIPPED") != 0) {
        snprintf(reason, reason_size, "status is not SHIPPED");
        return false;
    }
    shipment->status = SHIPMENT_SHIPPED;
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        const json_t *value = json_object_get(event, details[i]);
        const char *text = json_string_value(value);
        if (value && !json_is_null(value) && !(text && json_text_plain(text, SHIPMENT_MAX_TEXT)))
            return refuse_text(details[i], reason, reason_size);
        *fields[i] = text ? arena_strdup(arena, text) : NULL;
    }
    return true;
}

bool shipment_order_parse(const char *body, size_t len, struct arena *arena, struct shipment *shipment,
                          enum shipment_order_event *kind, char *reason, size_t reason_size) {
    static const char *const types[] = {[SHIPMENT_ORDERED] = "ORDER_CREATED",
                                        [SHIPMENT_ORDER_CANCELLED] = "ORDER_CANCEL_REQUESTED",
                                        [SHIPMENT_CUSTOMER_ERASED] = "CUSTOMER_ERASED",
                                        NULL};
    json_t *event = event_parse(body, len, types, "orderId", &shipment->order_id, reason, reason_size);
    if (!event)
        return false;
    const char *type = json_member_string(event, "eventType");
    *kind = SHIPMENT_ORDERED;
    while (*kind < SHIPMENT_CUSTOMER_ERASED && strcmp(type, types[*kind]) != 0)
        ++*kind;
    bool good = read_parties(event, arena, shipment, reason, reason_size) &&
                read_state(event, arena, shipment, *kind, reason, reason_size);
    json_decref(event);
    return good;
}

static void member_uuid(struct buf *out, const char *name, const struct uuid *id) {
    buf_printf(out, "\"%s\":", name);
    json_append_uuid(out, id);
}

/* ,"name":"text" or ,"name":null */
static void member_text(struct buf *out, const char *name, const char *text) {
    buf_printf(out, ",\"%s\":", name);
    if (text)
        json_append_text(out, text);
    else
        buf_str(out, "null");
}

static void member_time(struct buf *out, const char *name, int64_t epoch_ms) {
    buf_printf(out, ",\"%s\":", name);
    if (epoch_ms != DB_NO_TIME)
        json_append_time(out, epoch_ms);
    else
        buf_str(out, "null");
}

void shipment_view_json(struct buf *out, const struct shipment *shipment) {
    buf_char(out, '{');
    member_uuid(out, "id", &shipment->id);
    buf_char(out, ',');
    member_uuid(out, "order_id", &shipment->order_id);
    member_text(out, "tracking_number", shipment->tracking_number);
    member_text(out, "carrier", shipment->carrier);
    member_text(out, "status", shipment_status_name(shipment->status));
    member_time(out, "created_at", shipment->created_ms);
    member_time(out, "updated_at", shipment->updated_ms);
    member_time(out, "delivered_at", shipment->delivered_ms);
    buf_char(out, '}');
}

static void event_json(struct buf *out, const struct shipment_event *event) {
    buf_str(out, "{\"description\":");
    json_append_text(out, event->description);
    member_text(out, "previous_status", event->previous_status);
    member_text(out, "status", event->status);
    member_text(out, "tracking_number", event->tracking_number);
    member_text(out, "carrier", event->carrier);
    member_text(out, "actor", event->actor);
    member_text(out, "request_id", event->request_id);
    member_time(out, "occurred_at", event->occurred_ms);
    buf_char(out, '}');
}

void shipment_events_json(struct buf *out, const struct shipment_event events[], size_t n) {
    buf_char(out, '{');
    member_uuid(out, "order_id", &events[0].order_id);
    buf_char(out, ',');
    member_uuid(out, "shipment_id", &events[0].shipment_id);
    buf_str(out, ",\"events\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        event_json(out, &events[i]);
    }
    buf_str(out, "]}");
}

void shipment_update_json(struct buf *out, const struct shipment_change *change,
                          const struct uuid *event_id) {
    const struct shipment *shipment = &change->shipment;
    buf_str(out, "{\"eventType\":\"ORDER_STATUS_UPDATE\",");
    member_uuid(out, "eventId", event_id);
    buf_char(out, ',');
    member_uuid(out, "orderId", &shipment->order_id);
    member_text(out, "previousStatus", shipment_status_order_name(change->before));
    member_text(out, "currentStatus", shipment_status_order_name(shipment->status));
    member_time(out, "timestamp", shipment->updated_ms);
    if (shipment->tracking_number)
        member_text(out, "trackingNumber", shipment->tracking_number);
    if (shipment->carrier)
        member_text(out, "carrier", shipment->carrier);
    buf_char(out, '}');
}
