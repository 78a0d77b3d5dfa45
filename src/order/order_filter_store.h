/* The SQL of lists of orders that are asked for by reference or last change: a part of order_store_list. */
#pragma once

#include "order_store.h"

#include <stdbool.h>

/* Whether a page has such a filter. */
bool order_filter_applies(const struct order_page *page);

/* As order_store_list, for such a page. */
enum db_status order_filter_list(struct db *db, const struct order_page *page, struct arena *arena,
                                 struct order **orders, size_t *count) MUST_CHECK;
