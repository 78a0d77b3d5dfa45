/* The rules of an order: its statuses and what identifies its payload. */
#include "order.h"

#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {
    [ORDER_PENDING_SHIPMENT] = "PENDING_SHIPMENT",
    [ORDER_SHIPPED] = "SHIPPED",
    [ORDER_DELIVERED] = "DELIVERED",
    [ORDER_CANCELLED] = "CANCELLED",
};

static const char *const cancellation_names[] = {
    [ORDER_CANCEL_NONE] = NULL,
    [ORDER_CANCEL_REQUESTED] = "requested",
    [ORDER_CANCEL_ACCEPTED] = "accepted",
    [ORDER_CANCEL_REFUSED] = "refused",
};

const char *order_status_name(enum order_status status) {
    return status_names[status];
}

bool order_status_parse(const char *name, enum order_status *out) {
    for (size_t i = 0; i < sizeof status_names / sizeof *status_names; i++) {
        if (strcmp(name, status_names[i]) == 0) {
            *out = (enum order_status)i;
            return true;
        }
    }
    return false;
}

bool order_status_final(enum order_status status) {
    return status == ORDER_DELIVERED || status == ORDER_CANCELLED;
}

const char *order_cancellation_name(enum order_cancellation cancellation) {
    return cancellation_names[cancellation];
}

bool order_cancellation_parse(const char *name, enum order_cancellation *out) {
    *out = ORDER_CANCEL_NONE;
    for (size_t i = 1; name && i < sizeof cancellation_names / sizeof *cancellation_names; i++)
        if (strcmp(name, cancellation_names[i]) == 0)
            *out = (enum order_cancellation)i;
    return !name || *out != ORDER_CANCEL_NONE;
}

/* Sets *field, unless value is NULL. True when that changed it. */
static bool update_text(const char **field, const char *value) {
    if (!value || (*field && strcmp(*field, value) == 0))
        return false;
    *field = value;
    return true;
}

static void note_change(struct order *order, int64_t now_ms) {
    order->version++;
    order->updated_ms = now_ms > order->updated_ms ? now_ms : order->updated_ms;
}

/* A step may be skipped: its event was lost. */
static bool may_follow(enum order_status before, enum order_status after) {
    if (after == ORDER_CANCELLED)
        return before == ORDER_PENDING_SHIPMENT;
    return before < after && before != ORDER_CANCELLED;
}

bool order_apply_status(struct order *order, enum order_status status, const char *tracking_number,
                        const char *carrier, int64_t now_ms) {
    bool changed = may_follow(order->status, status);
    if (!changed && status != order->status)
        return false;
    if (changed && order->cancellation == ORDER_CANCEL_REQUESTED)
        order->cancellation = status == ORDER_CANCELLED ? ORDER_CANCEL_ACCEPTED : ORDER_CANCEL_REFUSED;
    order->status = status;
    changed |= update_text(&order->tracking_number, tracking_number);
    changed |= update_text(&order->carrier, carrier);
    if (changed)
        note_change(order, now_ms);
    return changed;
}

bool order_contradicts(const struct order *order, enum order_status status) {
    bool left = order->status == ORDER_SHIPPED || order->status == ORDER_DELIVERED;
    return (left && status == ORDER_CANCELLED) ||
           (order->status == ORDER_CANCELLED && (status == ORDER_SHIPPED || status == ORDER_DELIVERED));
}

enum order_cancel_verdict order_request_cancel(struct order *order, const char *reason, int64_t now_ms) {
    if (order->cancellation != ORDER_CANCEL_NONE || order->status == ORDER_CANCELLED)
        return ORDER_CANCEL_KNOWN;
    if (order->status != ORDER_PENDING_SHIPMENT)
        return ORDER_CANCEL_TOO_LATE;
    order->cancellation = ORDER_CANCEL_REQUESTED;
    order->cancellation_reason = reason;
    note_change(order, now_ms);
    return ORDER_CANCEL_NOTED;
}

void order_erase_customer(struct order *order, const char *replacement, int64_t now_ms) {
    order->customer_id = replacement;
    order->cancellation_reason = NULL;
    order->reference = NULL;
    order->metadata = NULL;
    note_change(order, now_ms);
}

bool order_wants_cancel(const struct order *order) {
    return order->cancellation == ORDER_CANCEL_REQUESTED || order->status == ORDER_CANCELLED;
}

void order_note_time(struct order *order, enum order_status before, int64_t changed_ms) {
    int64_t *when = order->status == ORDER_SHIPPED     ? &order->shipped_ms
                    : order->status == ORDER_DELIVERED ? &order->delivered_ms
                                                       : NULL;
    if (when && !*when && order->status != before)
        *when = changed_ms ? changed_ms : order->updated_ms;
}

bool order_is_extended(const struct order *order) {
    return order->currency_named || order->reference || order->metadata;
}

static int compare_items(const void *left, const void *right) {
    const struct order_item *a = *(const struct order_item *const *)left;
    const struct order_item *b = *(const struct order_item *const *)right;
    int by_product = strcmp(a->product_id, b->product_id);
    if (by_product)
        return by_product;
    if (a->quantity != b->quantity)
        return a->quantity < b->quantity ? -1 : 1;
    return (a->unit_price > b->unit_price) - (a->unit_price < b->unit_price);
}

bool order_fingerprint(const struct order *order, uint8_t out[static SHA256_SIZE]) {
    const struct order_item *sorted[ORDER_MAX_ITEMS];
    for (size_t i = 0; i < order->item_count; i++)
        sorted[i] = &order->items[i];
    qsort(sorted, order->item_count, sizeof *sorted, compare_items);
    /* An id cannot contain a newline, so two different orders never have the same text. */
    struct buf text = {0};
    buf_str(&text, order->customer_id);
    for (size_t i = 0; i < order->item_count; i++)
        buf_printf(&text, "\n%s\n%lld\n%lld", sorted[i]->product_id, (long long)sorted[i]->quantity,
                   (long long)sorted[i]->unit_price);
    /* Nor a product without an id, so nothing can be both an item and this. */
    if (order_is_extended(order))
        buf_printf(&text, "\n\n%s\n%s\n%s", order->currency_named ? order->currency : "",
                   order->reference ? order->reference : "", order->metadata ? order->metadata : "");
    bool ok = !text.failed;
    if (ok)
        sha256(text.data, text.len, out);
    buf_free(&text);
    return ok;
}
