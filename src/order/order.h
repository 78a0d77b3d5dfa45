/* An order: its types and its rules. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/digest.h"
#include "common/base/uuid.h"
#include "common/http/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_MAX_ITEMS 100
#define ORDER_MAX_ID_LENGTH 255 /* characters of a customer or product id */
#define ORDER_MAX_QUANTITY 1000000
#define ORDER_MAX_PRICE 9999999999   /* cents */
#define ORDER_MAX_TOTAL 999999999999 /* cents */
#define ORDER_MAX_REFERENCE 64       /* characters */
#define ORDER_MAX_METADATA 16        /* pairs */
#define ORDER_MAX_METADATA_KEY 40    /* characters of A-Z a-z 0-9 _ . - */
#define ORDER_MAX_METADATA_VALUE 500 /* characters */

enum order_status { ORDER_PENDING_SHIPMENT, ORDER_SHIPPED, ORDER_DELIVERED, ORDER_CANCELLED };
#define ORDER_STATUSES (ORDER_CANCELLED + 1)

/* What became of the client's wish to cancel the order. */
enum order_cancellation {
    ORDER_CANCEL_NONE, /* nobody wished it */
    ORDER_CANCEL_REQUESTED,
    ORDER_CANCEL_ACCEPTED,
    ORDER_CANCEL_REFUSED, /* the shipment had left */
};
#define ORDER_CANCELLATIONS (ORDER_CANCEL_REFUSED + 1)

/* Why a cancellation is refused: there is only one reason. */
#define ORDER_REFUSAL "The shipment had left"

struct order_item {
    const char *product_id;
    int64_t quantity;
    int64_t unit_price; /* cents */
};

struct order { /* strings and items belong to the arena it was made in */
    struct uuid id;
    const char *client_id;
    const char *customer_id;
    enum order_status status;
    int64_t total;                         /* cents */
    const char *tracking_number, *carrier; /* NULL: unknown */
    enum order_cancellation cancellation;
    const char *cancellation_reason; /* the client's; NULL: none */
    int64_t version;
    int64_t created_ms, updated_ms;
    struct order_item *items;
    size_t item_count;
    const char *currency;             /* NULL: made before orders had one */
    bool currency_named;              /* by the request that made it; otherwise it is the default */
    const char *reference;            /* the shop's own number; NULL: none */
    const char *metadata;             /* a JSON object of strings, sorted by key; NULL: none */
    int64_t shipped_ms, delivered_ms; /* 0: not yet, or not known */
};

const char *order_status_name(enum order_status status);
bool order_status_parse(const char *name, enum order_status *out) MUST_CHECK;

/* Whether no event can change the status any more. */
bool order_status_final(enum order_status status);

/* "requested", "accepted" or "refused". NULL: nobody wished to cancel the order. */
const char *order_cancellation_name(enum order_cancellation cancellation);
/* Accepts NULL. False when the name is unknown. */
bool order_cancellation_parse(const char *name, enum order_cancellation *out) MUST_CHECK;

enum order_cancel_verdict {
    ORDER_CANCEL_NOTED,    /* delivery-svc must be asked */
    ORDER_CANCEL_KNOWN,    /* it was asked before, or has decided: cancellation and status say what */
    ORDER_CANCEL_TOO_LATE, /* nobody asked before the order was SHIPPED */
};

/* Notes the client's wish to cancel the order. The first reason stays. */
enum order_cancel_verdict order_request_cancel(struct order *order, const char *reason,
                                               int64_t now_ms) MUST_CHECK;

/* Whether delivery-svc must be asked (again) to cancel the shipment. */
bool order_wants_cancel(const struct order *order);

/* Applies an event to an order. Every status change goes through here. Statuses only move forward, and nothing follows
 * CANCELLED. A new status also decides a requested cancellation. The same status again may set a tracking number or carrier,
 * but never erases one. A late or repeated event changes nothing. True when order was changed, and with it version and
 * updated_ms. */
bool order_apply_status(struct order *order, enum order_status status, const char *tracking_number,
                        const char *carrier, int64_t now_ms) MUST_CHECK;

/* Whether an event says what cannot be: the shipment left and was cancelled. Only a database that lost transactions brings
 * that about. */
bool order_contradicts(const struct order *order, enum order_status status);

/* Notes when the order got its status, if it was before until now: what delivery says of it, or 0 when that is not known.
 * What was noted stays. */
void order_note_time(struct order *order, enum order_status before, int64_t changed_ms);

/* Puts the replacement in the place of the customer, and forgets whatever else may tell who that was. erasure_store.c writes
 * the same columns. The items stay, for the accounts, and so do tracking number and carrier, for the parcel. */
void order_erase_customer(struct order *order, const char *replacement, int64_t now_ms);

/* Whether the request that made the order had a member that came later than customer_id and items. Only then the answer has
 * such members. */
bool order_is_extended(const struct order *order);

/* Identifies the payload of an order: SHA-256 of the customer, the items, and what else was sent. The order of the items
 * does not matter. An order that is not extended has the fingerprint that it always had. False when out of memory. */
bool order_fingerprint(const struct order *order, uint8_t out[static SHA256_SIZE]) MUST_CHECK;
