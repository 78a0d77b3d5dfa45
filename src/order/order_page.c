/* What belongs to a page of orders, by their ids and times. */
#include "order_page.h"

#include <string.h>

struct uuid order_highest_id(void) {
    struct uuid id;
    memset(id.bytes, 0xff, sizeof id.bytes);
    return id;
}

struct uuid order_page_end(const struct order_page *page) {
    struct uuid end = page->before ? *page->before : order_highest_id();
    struct uuid time = page->created_before ? uuid_lowest(*page->created_before + ORDER_SPREAD_MS) : end;
    return uuid_compare(&time, &end) < 0 ? time : end;
}

bool order_page_has(const struct order_page *page, const struct order *order, bool *over) {
    *over = page->created_after && !page->changed_after &&
            uuid_time_ms(&order->id) < *page->created_after - ORDER_SPREAD_MS;
    return !*over && (!page->created_after || order->created_ms > *page->created_after) &&
           (!page->created_before || order->created_ms < *page->created_before);
}
