/* Reading orders with their items from the rows of a statement: for the stores of orders. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "order.h"

#include <stddef.h>

/* The columns of an order o and its item i, in the order in which order_store.c reads them. One row is one item.
 * Metadata may be large, so only the first row has it. */
#define ORDER_COLUMNS                                                                                          \
    "o.id, o.client_id, o.customer_id, o.status, o.total_amount, o.tracking_number, o.carrier, o.version,"     \
    " o.cancellation, o.cancellation_reason,"                                                                  \
    " (extract(epoch FROM o.created_at) * 1000)::bigint, (extract(epoch FROM o.updated_at) * 1000)::bigint,"   \
    " o.currency, o.reference, CASE WHEN i.position = 1 THEN o.metadata END,"                                  \
    " (extract(epoch FROM o.shipped_at) * 1000)::bigint, (extract(epoch FROM o.delivered_at) * 1000)::bigint," \
    " i.product_id, i.quantity, i.unit_price"

/* Reads all orders of a result into *orders, which is in arena. */
enum db_status order_rows_read(const struct db_result *result, struct arena *arena, struct order **orders,
                               size_t *count) MUST_CHECK;
