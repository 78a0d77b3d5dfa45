/* Fuzz target: the body of POST /orders. What is accepted keeps every bound, and survives every way it is
 * written: as the answer to its client, as the view, as the event, and as a body again. */
#include "fuzz.h"

#include "common/base/currency.h"
#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/json_write.h"
#include "common/base/money.h"
#include "common/base/uuid.h"
#include "common/events/event.h"
#include "common/queue/queue.h"
#include "order/order_json.h"
#include "order/order_receipts.h"

static void check_order(const struct order *order) {
    int64_t total = 0;
    HOLDS(json_text_plain(order->customer_id, ORDER_MAX_ID_LENGTH));
    HOLDS(order->item_count >= 1 && order->item_count <= ORDER_MAX_ITEMS);
    for (size_t i = 0; i < order->item_count; i++) {
        const struct order_item *item = &order->items[i];
        HOLDS(json_text_plain(item->product_id, ORDER_MAX_ID_LENGTH));
        HOLDS(item->quantity >= 1 && item->quantity <= ORDER_MAX_QUANTITY);
        HOLDS(item->unit_price >= 1 && item->unit_price <= ORDER_MAX_PRICE);
        total += item->quantity * item->unit_price;
    }
    HOLDS(order->total == total && total <= ORDER_MAX_TOTAL);
    HOLDS(!order->currency_named || currency_is_supported(order->currency));
    HOLDS(!order->currency_named || currency_decimals(order->currency) == 2 || total % 100 == 0);
    HOLDS(!order->reference || json_text_plain(order->reference, ORDER_MAX_REFERENCE));
}

static void check_metadata(const struct order *order) {
    if (!order->metadata)
        return;
    json_t *metadata = parsed(order->metadata, strlen(order->metadata)), *value;
    const char *key, *last = "";
    HOLDS(json_object_size(metadata) >= 1 && json_object_size(metadata) <= ORDER_MAX_METADATA);
    json_object_foreach(metadata, key, value) {
        HOLDS(strlen(key) <= ORDER_MAX_METADATA_KEY && strcmp(last, key) < 0);
        HOLDS(json_is_string(value) && json_string_length(value) <= 4 * ORDER_MAX_METADATA_VALUE);
        last = key;
    }
    json_decref(metadata);
}

/* The items as JSON wrote them are those of the order. */
static void check_items(const json_t *list, const struct order *order) {
    HOLDS(json_array_size(list) == order->item_count);
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        int64_t price;
        HOLDS(same_text(json_member_string(item, "product_id"), order->items[i].product_id));
        HOLDS(json_integer_value(json_object_get(item, "quantity")) == order->items[i].quantity);
        HOLDS(money_from_json(json_object_get(item, "unit_price"), &price));
        HOLDS(price == order->items[i].unit_price);
    }
}

static void check_total(const json_t *object, const char *name, const struct order *order) {
    int64_t cents;
    HOLDS(money_from_json(json_object_get(object, name), &cents) && cents == order->total);
}

static void check_view(const struct order *order) {
    struct buf text = {0};
    order_view_json(&text, order);
    json_t *view = parsed(text.data, text.len);
    HOLDS(same_text(json_member_string(view, "customer_id"), order->customer_id));
    HOLDS(same_text(json_member_string(view, "status"), "PENDING_SHIPMENT"));
    check_total(view, "total_amount", order);
    check_items(json_object_get(view, "items"), order);
    json_decref(view);
    buf_free(&text);
}

static void check_receipt(const struct order *order) {
    static const char start[] = ORDER_RECEIPT_START;
    struct buf text = {0};
    char id[UUID_TEXT_SIZE];
    uuid_format(&order->id, id);
    order_receipt_json(&text, order);
    HOLDS(strncmp(text.data, start, sizeof start - 1) == 0); /* a replay finds the id there */
    HOLDS(strncmp(text.data + sizeof start - 1, id, sizeof id - 1) == 0);
    json_t *receipt = parsed(text.data, text.len);
    check_total(receipt, "total_amount", order);
    json_decref(receipt);
    buf_free(&text);
}

/* Whatever is accepted can be announced: the event fits into a message and can be read there. */
static void check_event(const struct order *order) {
    struct buf text = {0};
    struct uuid id;
    char reason[JSON_ERROR_SIZE];
    order_created_json(&text, order, &order->id);
    HOLDS(text.len <= QUEUE_MAX_BODY);
    json_t *event =
        event_parse(text.data, text.len, EVENT_TYPES("ORDER_CREATED"), "orderId", &id, reason, sizeof reason);
    HOLDS(event && uuid_compare(&id, &order->id) == 0);
    HOLDS(same_text(json_member_string(event, "customerId"), order->customer_id));
    check_total(event, "totalAmount", order);
    check_items(json_object_get(event, "items"), order);
    json_decref(event);
    buf_free(&text);
}

/* The order as a body; backwards: with its items in the opposite order. */
static void write_body(struct buf *out, const struct order *order, bool backwards) {
    buf_str(out, "{\"items\":[");
    for (size_t i = 0; i < order->item_count; i++) {
        const struct order_item *item = &order->items[backwards ? order->item_count - 1 - i : i];
        buf_printf(out, "%s{\"quantity\":%lld,\"product_id\":", i ? "," : "", (long long)item->quantity);
        json_append_text(out, item->product_id);
        buf_str(out, ",\"unit_price\":");
        json_append_money(out, item->unit_price);
        buf_char(out, '}');
    }
    buf_str(out, "],\"customer_id\":");
    json_append_text(out, order->customer_id);
    if (order->currency_named)
        buf_printf(out, ",\"currency\":\"%s\"", order->currency);
    if (order->reference) {
        buf_str(out, ",\"reference\":");
        json_append_text(out, order->reference);
    }
    if (order->metadata)
        buf_printf(out, ",\"metadata\":%s", order->metadata);
    buf_char(out, '}');
}

static void check_round_trip(const struct order *order, bool backwards) {
    struct arena arena = {0};
    struct order again = {0};
    struct http_faults faults = {0};
    struct buf body = {0};
    uint8_t first[SHA256_SIZE], second[SHA256_SIZE];
    write_body(&body, order, backwards);
    HOLDS(order_from_json(body.data, body.len, &arena, &again, &faults));
    HOLDS(again.total == order->total);
    HOLDS(order_fingerprint(order, first) && order_fingerprint(&again, second));
    HOLDS(memcmp(first, second, sizeof first) == 0);
    again.items[0].quantity++; /* another order has another fingerprint */
    HOLDS(order_fingerprint(&again, second) && memcmp(first, second, sizeof first) != 0);
    buf_free(&body);
    arena_free(&arena);
}

/* What Redis holds for a receipt is taken for one only where a replay finds the order's id. */
static void read_receipt(const char *value, size_t size) {
    uint8_t fingerprint[SHA256_SIZE];
    const char *body;
    size_t len;
    if (order_receipt_parse(value, size, fingerprint, &body, &len))
        HOLDS(len >= sizeof ORDER_RECEIPT_START - 1 + UUID_TEXT_SIZE - 1 && body + len == value + size &&
              memcmp(body, ORDER_RECEIPT_START, sizeof ORDER_RECEIPT_START - 1) == 0);
}

/* What is refused is refused with reasons that can be shown. */
static void check_faults(const struct http_faults *faults) {
    struct buf list = {0};
    HOLDS(faults->count > 0 && faults->first.len > 0 && !faults->json.failed);
    buf_char(&list, '[');
    buf_append(&list, faults->json.data, faults->json.len);
    buf_char(&list, ']');
    json_t *all = parsed(list.data, list.len);
    HOLDS(json_array_size(all) >= 1 && json_array_size(all) <= faults->count);
    json_decref(all);
    buf_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena = {0};
    struct order order = {
        .id = {{1, 2, 3}}, .client_id = "shop", .created_ms = 1700000000000, .updated_ms = 1700000000000};
    struct http_faults faults = {0};
    if (order_from_json((const char *)data, size, &arena, &order, &faults)) {
        HOLDS(faults.count == 0);
        check_order(&order);
        check_metadata(&order);
        check_view(&order);
        check_receipt(&order);
        check_event(&order);
        check_round_trip(&order, false);
        check_round_trip(&order, true);
    } else {
        check_faults(&faults);
    }
    http_faults_free(&faults);
    arena_free(&arena);
    read_receipt((const char *)data, size);
    return 0;
}
