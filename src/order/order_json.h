/* Orders and their events as JSON, both ways. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "order.h"

/* Reads the body of POST /orders into order: customer_id, items, total, and what else it may carry. order->currency is the
 * default when none is named. Strings and items are in arena. Adds every fault to faults. True when there was none. When out
 * of memory, order is incomplete and arena->failed is set. */
bool order_from_json(const char *body, size_t len, struct arena *arena, struct order *order,
                     struct http_faults *faults) MUST_CHECK;

/* The answer to POST /orders. It has only what never changes, so a replay is the same byte for byte. It begins with
 * ORDER_RECEIPT_START and the order's id. Only an extended order has currency and reference there. */
#define ORDER_RECEIPT_START "{\"order_id\":\""
void order_receipt_json(struct buf *out, const struct order *order);

/* The answer to GET /orders/:id. */
void order_view_json(struct buf *out, const struct order *order);

/* The event ORDER_CREATED. */
void order_created_json(struct buf *out, const struct order *order, const struct uuid *event_id);

/* Reads the body of POST /orders/:id/cancel, which may be empty. *reason is in arena; NULL: none was given. Adds every
 * fault to faults. True when there was none. When out of memory arena->failed is set. */
bool order_cancel_from_json(const char *body, size_t len, struct arena *arena, const char **reason,
                            struct http_faults *faults) MUST_CHECK;

/* The event ORDER_CANCEL_REQUESTED. It has what a shipment needs, in case that there is none yet. */
void order_cancel_json(struct buf *out, const struct order *order, const struct uuid *event_id);

/* The event CUSTOMER_ERASED: customer_id is the replacement. */
void order_erased_json(struct buf *out, const struct order *order, const struct uuid *event_id);

/* An ORDER_STATUS_UPDATE as delivery-svc publishes it. */
struct order_status_event {
    struct uuid order_id;
    enum order_status status;
    const char *tracking_number, *carrier; /* NULL when missing; in arena */
    int64_t changed_ms;                    /* when the shipment changed; 0 when missing */
};
/* False with a one-line reason when the body is not such an event. Unknown members are ignored. When out of memory,
 * event is incomplete and arena->failed is set. */
bool order_status_event_parse(const char *body, size_t len, struct arena *arena,
                              struct order_status_event *event, char *reason, size_t reason_size) MUST_CHECK;
