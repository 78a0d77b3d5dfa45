/* What belongs to a page of orders, by their ids and times. Pure. */
#pragma once

#include "order_store.h"

/* The time in the id of an order is that of its creation. Those of earlier releases took it from two looks at the clock,
 * which may be this far apart. */
#define ORDER_SPREAD_MS 5

/* Whether an order was created when the page wants it. *over becomes true where all that are older were not. */
bool order_page_has(const struct order_page *page, const struct order *order, bool *over);

/* The ids of a page are below this one, which the cursor and created_before give. */
struct uuid order_page_end(const struct order_page *page);

/* An id above all others. */
struct uuid order_highest_id(void);
