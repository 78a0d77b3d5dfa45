/* Shipments and their events as JSON, both ways. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/http/reply.h"
#include "shipment.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads the body of POST /delivery/shipment/:id/status into change: status, tracking_number and carrier, in arena.
 * Adds every fault to faults. True when there was none. When out of memory, change is incomplete and arena->failed
 * is set. */
bool shipment_change_parse(const char *body, size_t len, struct arena *arena, struct shipment_change *change,
                           struct http_faults *faults) MUST_CHECK;

/* What order-svc tells in the queue of orders. */
enum shipment_order_event {
    SHIPMENT_ORDERED,         /* ORDER_CREATED, also of an order that has left */
    SHIPMENT_ORDER_CANCELLED, /* ORDER_CANCEL_REQUESTED */
    SHIPMENT_CUSTOMER_ERASED, /* CUSTOMER_ERASED: customer_id is what takes the customer's place */
};

/* Reads an event of an order into shipment: order_id, customer_id and client_id, and where it is: SHIPPED, with tracking
 * number and carrier, when the order had heard that it left, or else PROCESSING. All texts are in arena. False with a
 * one-line reason when the body is not such an event. Unknown members are ignored. When out of memory, shipment is
 * incomplete and arena->failed is set. */
bool shipment_order_parse(const char *body, size_t len, struct arena *arena, struct shipment *shipment,
                          enum shipment_order_event *kind, char *reason, size_t reason_size) MUST_CHECK;

/* The answer to GET /delivery/shipment/:orderId and to a change of status. */
void shipment_view_json(struct buf *out, const struct shipment *shipment);

/* The answer to GET /delivery/shipment/:orderId/events. n is at least 1, and all events are of one shipment. */
void shipment_events_json(struct buf *out, const struct shipment_event events[], size_t n);

/* The event ORDER_STATUS_UPDATE of a change that is news (shipment_is_news). */
void shipment_update_json(struct buf *out, const struct shipment_change *change, const struct uuid *event_id);
