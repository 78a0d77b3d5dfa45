/* Fuzz target: the bodies of queue messages, and of POST /delivery/shipment/:id/status. Whatever comes,
 * statuses only move forward, and what is refused has a reason for the log. */
#include "fuzz.h"

#include "common/base/json.h"
#include "delivery/shipment_json.h"
#include "order/order_json.h"

#define NOW INT64_C(1700000000000)

static bool is_one_line(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            return false;
    return true;
}

static bool is_plain_or_missing(const char *text) {
    return !text || json_text_plain(text, ORDER_MAX_ID_LENGTH);
}

static void apply_to_order(enum order_status before, const struct order_status_event *event) {
    struct order order = {.status = before, .version = 7, .carrier = "first", .updated_ms = NOW};
    bool changed = order_apply_status(&order, event->status, event->tracking_number, event->carrier, NOW - 1);
    bool cancelled = before == ORDER_CANCELLED || event->status == ORDER_CANCELLED;
    bool moves = cancelled ? before == ORDER_PENDING_SHIPMENT : event->status > before;
    HOLDS(order.status == (moves ? event->status : before));
    HOLDS(order.version == (changed ? 8 : 7) && order.updated_ms >= NOW);
    HOLDS(order.carrier && (changed || same_text(order.carrier, "first")));
    HOLDS(!order_apply_status(&order, event->status, event->tracking_number, event->carrier, NOW));
}

static void read_status_event(const char *body, size_t size) {
    struct arena arena = {0};
    struct order_status_event event;
    char reason[JSON_ERROR_SIZE] = "";
    if (order_status_event_parse(body, size, &arena, &event, reason, sizeof reason)) {
        HOLDS(is_plain_or_missing(event.tracking_number) && is_plain_or_missing(event.carrier));
        for (int before = ORDER_PENDING_SHIPMENT; before < ORDER_STATUSES; before++)
            apply_to_order((enum order_status)before, &event);
    } else {
        HOLDS(*reason && is_one_line(reason));
    }
    arena_free(&arena);
}

static void read_order_created(const char *body, size_t size) {
    struct arena arena = {0};
    struct shipment shipment = {0};
    char reason[JSON_ERROR_SIZE] = "";
    enum shipment_order_event kind;
    if (shipment_order_parse(body, size, &arena, &shipment, &kind, reason, sizeof reason))
        HOLDS(json_text_plain(shipment.customer_id, SHIPMENT_MAX_TEXT));
    else
        HOLDS(*reason && is_one_line(reason));
    arena_free(&arena);
}

/* The event of a change is one that order-svc can read, and says the same. */
static void check_update(const struct shipment_change *change) {
    struct buf text = {0};
    struct arena arena = {0};
    struct order_status_event event;
    char reason[JSON_ERROR_SIZE] = "";
    shipment_update_json(&text, change, &change->shipment_id);
    HOLDS(order_status_event_parse(text.data, text.len, &arena, &event, reason, sizeof reason));
    HOLDS((int)event.status == (int)change->shipment.status);
    HOLDS(same_text(event.tracking_number, change->shipment.tracking_number));
    HOLDS(same_text(event.carrier, change->shipment.carrier));
    buf_clear(&text);
    shipment_view_json(&text, &change->shipment);
    json_t *view = parsed(text.data, text.len);
    HOLDS(same_text(json_member_string(view, "status"), shipment_status_name(change->shipment.status)));
    HOLDS(same_text(json_member_string(view, "carrier"), change->shipment.carrier));
    json_decref(view);
    arena_free(&arena);
    buf_free(&text);
}

static void apply_to_shipment(enum shipment_status before, struct shipment_change change) {
    static const struct shipment_pace pace = {true, 5000, 10000, 15000};
    struct shipment shipment = {.status = before, .carrier = "first", .delivered_ms = DB_NO_TIME};
    shipment_apply(&shipment, &change, &pace, NOW);
    bool moved = change.verdict == SHIPMENT_MOVED;
    HOLDS(shipment.status == (moved ? change.status : before) && shipment.carrier);
    HOLDS(!moved || shipment_status_may_follow(before, change.status));
    HOLDS(change.verdict != SHIPMENT_REFUSED || same_text(shipment.carrier, "first"));
    HOLDS((shipment.delivered_ms == NOW) == (moved && change.status == SHIPMENT_DELIVERED));
    check_update(&change);
    if (change.verdict == SHIPMENT_REFUSED)
        return;
    shipment_apply(&shipment, &change, &pace, NOW);
    HOLDS(change.verdict == SHIPMENT_UNCHANGED);
}

static void read_change(const char *body, size_t size) {
    struct arena arena = {0};
    struct shipment_change change = {0};
    struct http_faults faults = {0};
    if (shipment_change_parse(body, size, &arena, &change, &faults)) {
        HOLDS(is_plain_or_missing(change.tracking_number) && is_plain_or_missing(change.carrier));
        for (int before = SHIPMENT_PROCESSING; before < SHIPMENT_STATUSES; before++)
            apply_to_shipment((enum shipment_status)before, change);
    } else {
        HOLDS(faults.count > 0 && faults.first.len > 0);
    }
    http_faults_free(&faults);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_status_event((const char *)data, size);
    read_order_created((const char *)data, size);
    read_change((const char *)data, size);
    return 0;
}
