/* The rules of a shipment: its statuses and how it moves from one to the next. */
#include "shipment.h"
#include "common/base/digest.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *order_name;
    const char *arrival;       /* its description in the audit trail */
    enum shipment_status next; /* where the carrier moves it; itself when final */
} statuses[] = {
    [SHIPMENT_PROCESSING] = {"PROCESSING", "PENDING_SHIPMENT", "Shipment created", SHIPMENT_SHIPPED},
    [SHIPMENT_SHIPPED] = {"SHIPPED", "SHIPPED", "Shipped", SHIPMENT_DELIVERED},
    [SHIPMENT_DELIVERED] = {"DELIVERED", "DELIVERED", "Delivered", SHIPMENT_DELIVERED},
    [SHIPMENT_CANCELLED] = {"CANCELLED", "CANCELLED", "Cancelled", SHIPMENT_CANCELLED},
};

const char *shipment_status_name(enum shipment_status status) {
    return statuses[status].name;
}

const char *shipment_status_order_name(enum shipment_status status) {
    return statuses[status].order_name;
}

const char *shipment_status_arrival(enum shipment_status status) {
    return statuses[status].arrival;
}

bool shipment_status_parse(const char *name, enum shipment_status *out) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (strcmp(name, statuses[i].name) == 0) {
            *out = (enum shipment_status)i;
            return true;
        }
    }
    return false;
}

bool shipment_status_may_follow(enum shipment_status before, enum shipment_status after) {
    if (after == SHIPMENT_CANCELLED)
        return before == SHIPMENT_PROCESSING;
    return before != after && statuses[before].next == after;
}

int64_t shipment_next_ms(const struct shipment *shipment, const struct shipment_pace *pace, int64_t now_ms) {
    if (!pace->simulated)
        return DB_NO_TIME;
    switch (shipment->status) {
    case SHIPMENT_PROCESSING:
        return now_ms + (shipment->tracking_number ? pace->ship_ms : pace->assign_ms);
    case SHIPMENT_SHIPPED:
        return now_ms + pace->deliver_ms;
    case SHIPMENT_DELIVERED:
    case SHIPMENT_CANCELLED:
        break;
    }
    return DB_NO_TIME;
}

/* Sets *field, unless value is NULL. True when that changed it. */
static bool set_text(const char **field, const char *value) {
    if (!value || (*field && strcmp(*field, value) == 0))
        return false;
    *field = value;
    return true;
}

static enum shipment_verdict decide(struct shipment *shipment, const struct shipment_change *change,
                                    int64_t now_ms) {
    bool moves = change->status != shipment->status;
    if (change->unless_left && shipment->status != SHIPMENT_PROCESSING)
        return SHIPMENT_UNCHANGED;
    if (moves && !shipment_status_may_follow(shipment->status, change->status))
        return SHIPMENT_REFUSED;
    bool detailed = set_text(&shipment->tracking_number, change->tracking_number);
    detailed |= set_text(&shipment->carrier, change->carrier);
    if (!moves && !detailed)
        return SHIPMENT_UNCHANGED;
    shipment->status = change->status;
    shipment->updated_ms = now_ms;
    if (moves && change->status == SHIPMENT_DELIVERED)
        shipment->delivered_ms = now_ms;
    return moves ? SHIPMENT_MOVED : SHIPMENT_DETAILED;
}

void shipment_apply(struct shipment *shipment, struct shipment_change *change,
                    const struct shipment_pace *pace, int64_t now_ms) {
    bool tracked = shipment->tracking_number != NULL;
    change->before = shipment->status;
    change->verdict = decide(shipment, change, now_ms);
    bool moved = change->verdict == SHIPMENT_MOVED;
    bool assigned = !tracked && shipment->tracking_number;
    if (moved)
        change->description = statuses[shipment->status].arrival;
    else
        change->description = assigned ? "Carrier assigned" : "Tracking details changed";
    if (moved || (assigned && shipment->status == SHIPMENT_PROCESSING))
        shipment->next_ms = shipment_next_ms(shipment, pace, now_ms);
    change->shipment = *shipment;
}

bool shipment_is_news(const struct shipment_change *change) {
    return change->verdict == SHIPMENT_MOVED ||
           (change->verdict == SHIPMENT_DETAILED && change->shipment.status != SHIPMENT_PROCESSING);
}

void shipment_carrier_step(const struct shipment *shipment, char tracking[static SHIPMENT_TRACKING_SIZE],
                           struct shipment_change *step) {
    *step = (struct shipment_change){.shipment_id = shipment->id,
                                     .status = statuses[shipment->status].next,
                                     .actor = "carrier",
                                     .request_id = shipment->correlation_id};
    if (shipment->status != SHIPMENT_PROCESSING || shipment->tracking_number)
        return;
    step->status = SHIPMENT_PROCESSING;
    /* The last bytes of a UUIDv7 are random. So the number is unique, and a retry computes the same one. */
    char random_part[13];
    hex_encode(shipment->id.bytes + 10, 6, random_part);
    snprintf(tracking, SHIPMENT_TRACKING_SIZE, "DE%s", random_part);
    step->tracking_number = tracking;
    if (!shipment->carrier)
        step->carrier = "DemoExpress";
}
