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

enum order_status { ORDER_PENDING_SHIPMENT, ORDER_SHIPPED, ORDER_DELIVERED };

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
    int64_t version;
    int64_t created_ms, updated_ms;
    struct order_item *items;
    size_t item_count;
};

const char *order_status_name(enum order_status status);
bool order_status_parse(const char *name, enum order_status *out) MUST_CHECK;

/* Applies an event to an order. Every status change goes through here. Statuses only move forward. The same status
 * again may set a tracking number or carrier, but never erases one. A late or repeated event changes nothing. True
 * when order was changed, and with it version and updated_ms. */
bool order_apply_status(struct order *order, enum order_status status, const char *tracking_number,
                        const char *carrier, int64_t now_ms) MUST_CHECK;

/* Identifies the payload of an order: SHA-256 of the customer and the items. The order of the items does not
 * matter. False when out of memory. */
bool order_fingerprint(const struct order *order, uint8_t out[static SHA256_SIZE]) MUST_CHECK;
