/* The rules of an order: its statuses and what identifies its payload. */
#include "order.h"

#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {
    [ORDER_PENDING_SHIPMENT] = "PENDING_SHIPMENT",
    [ORDER_SHIPPED] = "SHIPPED",
    [ORDER_DELIVERED] = "DELIVERED",
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

/* Sets *field, unless value is NULL. True when that changed it. */
static bool update_text(const char **field, const char *value) {
    if (!value || (*field && strcmp(*field, value) == 0))
        return false;
    *field = value;
    return true;
}

bool order_apply_status(struct order *order, enum order_status status, const char *tracking_number,
                        const char *carrier, int64_t now_ms) {
    if (status < order->status)
        return false;
    bool changed = status > order->status; /* may skip a step: its event was lost */
    order->status = status;
    changed |= update_text(&order->tracking_number, tracking_number);
    changed |= update_text(&order->carrier, carrier);
    if (changed) {
        order->version++;
        order->updated_ms = now_ms > order->updated_ms ? now_ms : order->updated_ms;
    }
    return changed;
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
