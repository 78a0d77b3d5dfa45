/* What an order may carry besides customer and items, as JSON, both ways: currency, reference, metadata, and when it was
 * shipped and delivered. Pure. */
#pragma once

#include "common/base/buf.h"
#include "order.h"

/* Reads currency, reference and metadata of the body of POST /orders. Those that are missing leave order as it is. Strings
 * are in arena. Adds every fault to faults. When out of memory, arena->failed is set. */
void order_fields_from_json(const json_t *body, struct arena *arena, struct order *order,
                            struct http_faults *faults);

/* Appends the members that an order has, each after a comma. */
void order_fields_json(struct buf *out, const struct order *order);
