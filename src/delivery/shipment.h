/* A shipment: its types and its rules. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/params.h"

#include <stdbool.h>
#include <stdint.h>

#define SHIPMENT_MAX_TEXT 255 /* characters of a tracking number, carrier or customer id */
#define SHIPMENT_TRACKING_SIZE sizeof "DE0123456789AB"

enum shipment_status { SHIPMENT_PROCESSING, SHIPMENT_SHIPPED, SHIPMENT_DELIVERED };

struct shipment { /* strings are borrowed */
    struct uuid id, order_id;
    const char *customer_id;
    enum shipment_status status;
    const char *tracking_number, *carrier;    /* NULL: not known */
    const char *correlation_id, *traceparent; /* of the order, carried on to every event */
    int64_t created_ms, updated_ms;
    int64_t delivered_ms; /* DB_NO_TIME until then */
    int64_t next_ms;      /* when the simulated carrier moves it on; DB_NO_TIME: it does not */
};

/* How fast the simulated carrier moves a shipment on. */
struct shipment_pace {
    bool simulated; /* false: nothing moves by itself */
    int64_t assign_ms, ship_ms, deliver_ms;
};

enum shipment_verdict {
    SHIPMENT_UNKNOWN,   /* there is no such shipment */
    SHIPMENT_REFUSED,   /* not a step this shipment may take */
    SHIPMENT_UNCHANGED, /* it is so already */
    SHIPMENT_DETAILED,  /* the same status, with a new tracking number or carrier */
    SHIPMENT_MOVED,     /* a new status: to be published */
};

struct shipment_change { /* strings are borrowed */
    struct uuid shipment_id;
    enum shipment_status status;
    const char *tracking_number, *carrier; /* NULL: as they are */
    const char *actor, *request_id;        /* for the audit trail */
    /* What came of it. */
    enum shipment_verdict verdict;
    enum shipment_status before;
    const char *description;  /* of a change, for the audit trail */
    struct shipment shipment; /* as it is now; not when unknown */
};

struct shipment_event { /* a row of the audit trail; strings are borrowed */
    struct uuid shipment_id, order_id;
    const char *previous_status; /* NULL: it began here */
    const char *status, *description;
    const char *tracking_number, *carrier; /* NULL: not known */
    const char *actor, *request_id;
    int64_t occurred_ms;
};

const char *shipment_status_name(enum shipment_status status);
/* The same in the words of an order: PROCESSING is its PENDING_SHIPMENT. */
const char *shipment_status_order_name(enum shipment_status status);
/* What the audit trail says of a shipment that came to this status. */
const char *shipment_status_arrival(enum shipment_status status);
bool shipment_status_parse(const char *name, enum shipment_status *out) MUST_CHECK;

/* The one status that may follow; false when status is final. */
bool shipment_status_next(enum shipment_status status, enum shipment_status *next);

/* When the simulated carrier takes its next step with a shipment that came to where it is at now_ms. */
int64_t shipment_next_ms(const struct shipment *shipment, const struct shipment_pace *pace, int64_t now_ms);

/* Decides on the change and applies it to the shipment. The same status again changes nothing but a tracking
 * number or carrier that is given and differs; none is ever erased. */
void shipment_apply(struct shipment *shipment, struct shipment_change *change,
                    const struct shipment_pace *pace, int64_t now_ms);

/* The simulated carrier's next step with a shipment: a tracking number, then SHIPPED, then DELIVERED. */
void shipment_carrier_step(const struct shipment *shipment, char tracking[static SHIPMENT_TRACKING_SIZE],
                           struct shipment_change *step);
