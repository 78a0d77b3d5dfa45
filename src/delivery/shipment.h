/* A shipment: its types and its rules. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/params.h"
#include "common/tracing/tracing.h"

#include <stdbool.h>
#include <stdint.h>

#define SHIPMENT_MAX_TEXT 255 /* characters of a tracking number, carrier, customer id or client id */
#define SHIPMENT_TRACKING_SIZE sizeof "DE0123456789AB"

enum shipment_status { SHIPMENT_PROCESSING, SHIPMENT_SHIPPED, SHIPMENT_DELIVERED, SHIPMENT_CANCELLED };
#define SHIPMENT_STATUSES (SHIPMENT_CANCELLED + 1)

struct shipment { /* strings are borrowed */
    struct uuid id, order_id;
    const char *customer_id;
    const char *client_id; /* whose order it is; NULL: not known */
    enum shipment_status status;
    const char *tracking_number, *carrier;    /* NULL: not known */
    const char *correlation_id, *traceparent; /* of the order; with its tracestate */
    int64_t created_ms, updated_ms;
    int64_t delivered_ms; /* DB_NO_TIME until then */
    int64_t next_ms;      /* when the simulated carrier moves it; DB_NO_TIME: never */
};

/* How fast the simulated carrier moves a shipment. */
struct shipment_pace {
    bool simulated; /* false: nothing moves by itself */
    int64_t assign_ms, ship_ms, deliver_ms;
};

enum shipment_verdict {
    SHIPMENT_UNKNOWN,   /* there is no such shipment */
    SHIPMENT_REFUSED,   /* this step is not allowed */
    SHIPMENT_UNCHANGED, /* nothing differs */
    SHIPMENT_DETAILED,  /* the same status, with a new tracking number or carrier */
    SHIPMENT_MOVED,     /* a new status */
};

struct shipment_change { /* strings are borrowed */
    struct uuid shipment_id;
    enum shipment_status status;
    const char *tracking_number, *carrier; /* NULL: unchanged */
    bool unless_left;                      /* changes nothing when the shipment is no longer PROCESSING */
    const char *actor, *request_id;        /* for the audit trail */
    const char *trace;                     /* of the request; NULL: there is none */
    /* The result. */
    enum shipment_verdict verdict;
    enum shipment_status before;
    const char *description;  /* of a change, for the audit trail */
    struct shipment shipment; /* after the change; not set when unknown */
    struct span span;         /* of the change, in the trace of the order; see shipment_trace.h */
};

struct shipment_event { /* a row of the audit trail; strings are borrowed */
    struct uuid shipment_id, order_id;
    const char *client_id;       /* of the shipment */
    const char *previous_status; /* NULL in the first row */
    const char *status, *description;
    const char *tracking_number, *carrier; /* NULL: not known */
    const char *actor, *request_id;
    int64_t occurred_ms;
};

const char *shipment_status_name(enum shipment_status status);
/* The status that the order has then. PROCESSING corresponds to PENDING_SHIPMENT. */
const char *shipment_status_order_name(enum shipment_status status);
/* The description in the audit trail of a shipment that reaches this status. */
const char *shipment_status_arrival(enum shipment_status status);
bool shipment_status_parse(const char *name, enum shipment_status *out) MUST_CHECK;

/* Whether a shipment may go from one status to another one. */
bool shipment_status_may_follow(enum shipment_status before, enum shipment_status after);

/* When the simulated carrier moves a shipment that was last moved at now_ms. DB_NO_TIME: never. Times are
 * milliseconds since the epoch. */
int64_t shipment_next_ms(const struct shipment *shipment, const struct shipment_pace *pace, int64_t now_ms);

/* Applies the change to the shipment if it is allowed, and sets the result in change. Every change goes through
 * here. With the same status, only a new tracking number or carrier counts as a change. Neither is ever erased. */
void shipment_apply(struct shipment *shipment, struct shipment_change *change,
                    const struct shipment_pace *pace, int64_t now_ms);

/* Whether order-svc must hear of the change: of a new status, and of a correction of what it has heard. Details of a
 * shipment that has not left go with the event of its leaving. */
bool shipment_is_news(const struct shipment_change *change);

/* The simulated carrier's next step with a shipment: a tracking number, then SHIPPED, then DELIVERED. */
void shipment_carrier_step(const struct shipment *shipment, char tracking[static SHIPMENT_TRACKING_SIZE],
                           struct shipment_change *step);
