/* Orders and their events as JSON, both ways. */
#include "order_json.h"

#include "common/base/clock.h"
#include "common/base/currency.h"
#include "common/base/json.h"
#include "common/base/json_write.h"
#include "common/base/money.h"
#include "common/base/uuid.h"
#include "common/events/event.h"
#include "order_fields.h"

#include <stdio.h>
#include <string.h>

static const char *order_read_id(const json_t *object, const char *parent, const char *name,
                                 struct arena *arena, struct http_faults *faults) {
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    if (!value)
        http_fault(faults, parent, name, "is required");
    else if (!text)
        http_fault(faults, parent, name, "must be a string");
    else if (!json_text_plain(text, ORDER_MAX_ID_LENGTH))
        http_fault(faults, parent, name, "must be 1 to %d characters without control characters",
                   ORDER_MAX_ID_LENGTH);
    else
        return arena_strdup(arena, text);
    return NULL;
}

/* Accepts 2.0 as 2, because JSON does not distinguish them. */
static int64_t read_quantity(const json_t *item, const char *parent, struct http_faults *faults) {
    const json_t *value = json_object_get(item, "quantity");
    double quantity = json_number_value(value); /* 0 when it is not a number */
    if (quantity >= 1 && quantity <= ORDER_MAX_QUANTITY && quantity == (double)(int64_t)quantity)
        return (int64_t)quantity;
    if (value)
        http_fault(faults, parent, "quantity", "must be an integer from 1 to %d", ORDER_MAX_QUANTITY);
    else
        http_fault(faults, parent, "quantity", "is required");
    return 0;
}

static int64_t read_price(const json_t *item, const char *parent, const char *currency,
                          struct http_faults *faults) {
    const json_t *value = json_object_get(item, "unit_price");
    int64_t cents = 0;
    if (!value)
        http_fault(faults, parent, "unit_price", "is required");
    else if (!money_from_json(value, &cents) || cents < 1 || cents > ORDER_MAX_PRICE)
        http_fault(faults, parent, "unit_price",
                   "must be a number from 0.01 to 99999999.99 with at most two decimals");
    else if (cents % 100 != 0 && currency && currency_decimals(currency) == 0)
        http_fault(faults, parent, "unit_price", "must be a whole number, as %s has no decimals", currency);
    return cents;
}

static void read_item(json_t *value, size_t index, const char *currency, struct arena *arena,
                      struct order_item *item, struct http_faults *faults) {
    static const char *const known[] = {"product_id", "quantity", "unit_price", NULL};
    char parent[32];
    snprintf(parent, sizeof parent, "/items/%zu", index);
    if (!json_is_object(value)) {
        http_fault(faults, parent, NULL, "must be an object");
        return;
    }
    http_fault_unknown(faults, value, parent, known);
    item->product_id = order_read_id(value, parent, "product_id", arena, faults);
    item->quantity = read_quantity(value, parent, faults);
    item->unit_price = read_price(value, parent, currency, faults);
}

static void read_items(const json_t *body, struct arena *arena, struct order *order,
                       struct http_faults *faults) {
    json_t *items = json_object_get(body, "items"), *value;
    size_t count = json_array_size(items), i;
    if (!items)
        http_fault(faults, "", "items", "is required");
    else if (!json_is_array(items) || count < 1 || count > ORDER_MAX_ITEMS)
        http_fault(faults, "", "items", "must be an array of 1 to %d items", ORDER_MAX_ITEMS);
    else
        order->items = arena_array(arena, count, sizeof *order->items);
    if (!order->items)
        return;
    order->item_count = count;
    json_array_foreach(items, i, value) read_item(value, i, order->currency, arena, &order->items[i], faults);
}

static void sum_up(struct order *order, struct http_faults *faults) {
    for (size_t i = 0; i < order->item_count; i++) {
        if (!money_add(&order->total, order->items[i].unit_price, order->items[i].quantity) ||
            order->total > ORDER_MAX_TOTAL) {
            http_fault(faults, "", "items", "must not cost more than 9999999999.99 in total");
            return;
        }
    }
}

bool order_from_json(const char *body, size_t len, struct arena *arena, struct order *order,
                     struct http_faults *faults) {
    static const char *const known[] = {"customer_id", "items", "metadata", "reference", "currency", NULL};
    char error[JSON_ERROR_SIZE];
    json_t *root = json_parse_object(body, len, error);
    if (!root) {
        http_fault(faults, "", NULL, "%s", error);
        return false;
    }
    http_fault_unknown(faults, root, "", known);
    order->customer_id = order_read_id(root, "", "customer_id", arena, faults);
    order_fields_from_json(root, arena, order, faults);
    read_items(root, arena, order, faults);
    json_decref(root);
    if (faults->count == 0)
        sum_up(order, faults);
    return faults->count == 0;
}

static void optional_json(struct buf *out, const char *name, const char *value) {
    if (!value)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_append_text(out, value);
}

void order_receipt_json(struct buf *out, const struct order *order) {
    char id[UUID_TEXT_SIZE];
    uuid_format(&order->id, id);
    buf_str(out, ORDER_RECEIPT_START);
    buf_str(out, id);
    buf_str(out, "\",\"status\":");
    json_append_text(out, order_status_name(ORDER_PENDING_SHIPMENT));
    buf_str(out, ",\"total_amount\":");
    currency_append(out, order->currency, order->total);
    buf_str(out, ",\"created_at\":");
    json_append_time(out, order->created_ms);
    if (order_is_extended(order)) {
        optional_json(out, "currency", order->currency);
        optional_json(out, "reference", order->reference);
    }
    buf_char(out, '}');
}

/* currency NULL: with two decimals, whatever the order's is. */
static void items_json(struct buf *out, const struct order *order, const char *currency) {
    buf_str(out, ",\"items\":[");
    for (size_t i = 0; i < order->item_count; i++) {
        const struct order_item *item = &order->items[i];
        buf_str(out, i ? ",{\"product_id\":" : "{\"product_id\":");
        json_append_text(out, item->product_id);
        buf_str(out, ",\"quantity\":");
        buf_int(out, item->quantity);
        buf_str(out, ",\"unit_price\":");
        currency_append(out, currency, item->unit_price);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

void order_view_json(struct buf *out, const struct order *order) {
    buf_str(out, "{\"id\":");
    json_append_uuid(out, &order->id);
    buf_str(out, ",\"customer_id\":");
    json_append_text(out, order->customer_id);
    buf_str(out, ",\"status\":");
    json_append_text(out, order_status_name(order->status));
    buf_str(out, ",\"total_amount\":");
    currency_append(out, order->currency, order->total);
    items_json(out, order, order->currency);
    optional_json(out, "tracking_number", order->tracking_number);
    optional_json(out, "carrier", order->carrier);
    buf_str(out, ",\"created_at\":");
    json_append_time(out, order->created_ms);
    buf_str(out, ",\"updated_at\":");
    json_append_time(out, order->updated_ms);
    order_fields_json(out, order);
    optional_json(out, "cancellation", order_cancellation_name(order->cancellation));
    optional_json(out, "cancellation_reason", order->cancellation_reason);
    buf_char(out, '}');
}

void order_created_json(struct buf *out, const struct order *order, const struct uuid *event_id) {
    buf_str(out, "{\"eventType\":\"ORDER_CREATED\",\"eventId\":");
    json_append_uuid(out, event_id);
    buf_str(out, ",\"orderId\":");
    json_append_uuid(out, &order->id);
    buf_str(out, ",\"customerId\":");
    json_append_text(out, order->customer_id);
    items_json(out, order, NULL); /* as delivery-svc has always got it */
    buf_str(out, ",\"totalAmount\":");
    json_append_money(out, order->total);
    buf_str(out, ",\"timestamp\":");
    json_append_time(out, order->created_ms);
    buf_str(out, ",\"clientId\":");
    json_append_text(out, order->client_id);
    if (order->status == ORDER_SHIPPED) {
        buf_str(out, ",\"status\":");
        json_append_text(out, order_status_name(order->status));
        optional_json(out, "trackingNumber", order->tracking_number);
        optional_json(out, "carrier", order->carrier);
    }
    buf_char(out, '}');
}

bool order_cancel_from_json(const char *body, size_t len, struct arena *arena, const char **reason,
                            struct http_faults *faults) {
    static const char *const known[] = {"reason", NULL};
    char error[JSON_ERROR_SIZE];
    *reason = NULL;
    if (!len)
        return true;
    json_t *root = json_parse_object(body, len, error);
    if (!root) {
        http_fault(faults, "", NULL, "%s", error);
        return false;
    }
    http_fault_unknown(faults, root, "", known);
    const json_t *value = json_object_get(root, "reason");
    if (value && !json_is_null(value))
        *reason = order_read_id(root, "", "reason", arena, faults);
    json_decref(root);
    return faults->count == 0;
}

/* The members that all events of a change of an order have; the object stays open. */
static void open_change(struct buf *out, const char *type, const struct order *order,
                        const struct uuid *event_id) {
    buf_printf(out, "{\"eventType\":\"%s\",\"eventId\":", type);
    json_append_uuid(out, event_id);
    buf_str(out, ",\"orderId\":");
    json_append_uuid(out, &order->id);
    buf_str(out, ",\"customerId\":");
    json_append_text(out, order->customer_id);
    buf_str(out, ",\"timestamp\":");
    json_append_time(out, order->updated_ms);
}

void order_cancel_json(struct buf *out, const struct order *order, const struct uuid *event_id) {
    open_change(out, "ORDER_CANCEL_REQUESTED", order, event_id);
    buf_str(out, ",\"clientId\":");
    json_append_text(out, order->client_id);
    buf_char(out, '}');
}

void order_erased_json(struct buf *out, const struct order *order, const struct uuid *event_id) {
    open_change(out, "CUSTOMER_ERASED", order, event_id);
    buf_char(out, '}');
}

#define TEXT_RULE " must be 1 to 255 characters without control characters"

/* Reads an optional text of an event. Returns fault when it is not valid for an order, else NULL. */
static const char *event_text(const json_t *event, const char *name, const char *fault, struct arena *arena,
                              const char **out) {
    const json_t *value = json_object_get(event, name);
    if (!value || json_is_null(value))
        return NULL;
    const char *text = json_string_value(value);
    if (!text || !json_text_plain(text, ORDER_MAX_ID_LENGTH))
        return fault;
    *out = arena_strdup(arena, text);
    return NULL;
}

/* The time is only for measuring: an event without one is good. */
static int64_t event_time(const json_t *root) {
    const char *text = json_member_string(root, "timestamp");
    int64_t ms;
    return text && clock_parse(text, &ms) ? ms : 0;
}

static const char *event_fault(const json_t *root, struct arena *arena, struct order_status_event *event) {
    const char *status = json_member_string(root, "currentStatus");
    if (!status || !order_status_parse(status, &event->status))
        return "currentStatus is not PENDING_SHIPMENT, SHIPPED, DELIVERED or CANCELLED";
    event->changed_ms = event_time(root);
    const char *fault =
        event_text(root, "trackingNumber", "trackingNumber" TEXT_RULE, arena, &event->tracking_number);
    return fault ? fault : event_text(root, "carrier", "carrier" TEXT_RULE, arena, &event->carrier);
}

bool order_status_event_parse(const char *body, size_t len, struct arena *arena,
                              struct order_status_event *event, char *reason, size_t reason_size) {
    *event = (struct order_status_event){0};
    json_t *root = event_parse(body, len, EVENT_TYPES("ORDER_STATUS_UPDATE"), "orderId", &event->order_id,
                               reason, reason_size);
    if (!root)
        return false;
    const char *fault = event_fault(root, arena, event);
    if (fault)
        snprintf(reason, reason_size, "%s", fault);
    json_decref(root);
    return !fault;
}
