/* Lists of orders by reference or last change. */
#include "order_filter_store.h"

#include "common/base/clock.h"
#include "order_page.h"
#include "order_rows.h"

/* clang-format off */
/* Each statement goes along one index, and the other filters drop rows of it, as in order_store.c. With "column = $3", the
 * planner may walk another index in the same order, past the orders of everybody else. With "column = ANY" it does not know
 * that the column has one value. Of two bounds of a column it would expect next to nothing between them, when it does not
 * know the values. So it does not see that there are two.
 * $1: older than this id. $6: not older than this one. $7 and $8: created between. $10 and $11: changed after. */
#define ONE(column, value) column " = ANY (ARRAY[" value "::text])"
#define ITEMS(order)                                                                                         \
    " SELECT " ORDER_COLUMNS " FROM o JOIN order_items i ON i.order_id = o.id ORDER BY " order ", i.position"
#define NEWEST_FIRST  "o.id DESC"
#define CHANGED_FIRST "o.updated_at, o.id"
#define TIMES         " AND created_at > $7 AND (created_at, 0) < ($8, 0)"
#define MAY_BE(column, value) " AND (" value "::text IS NULL OR " column " = " value ")"

/* A reference has one order of each client at most. */
#define REFERENCED(client, order)                                                                            \
    "WITH found AS MATERIALIZED (SELECT * FROM orders WHERE reference = $9" client "),"                      \
    " o AS (SELECT * FROM found o WHERE id < $1" TIMES MAY_BE("customer_id", "$4") MAY_BE("status", "$5")   \
    "          AND (updated_at, id) > ($10, $11) ORDER BY " order " LIMIT $2)" ITEMS(order)
static const struct db_query referenced[2][2] = {
    {{"order_list_reference", REFERENCED("", NEWEST_FIRST)},
     {"order_list_reference_client", REFERENCED(" AND client_id = $3", NEWEST_FIRST)}},
    {{"order_list_reference_changed", REFERENCED("", CHANGED_FIRST)},
     {"order_list_reference_client_changed", REFERENCED(" AND client_id = $3", CHANGED_FIRST)}},
};

/* Orders that have changed are in an index of their own. The others are PENDING_SHIPMENT. They changed last when they were
 * created, which is the time in their id, so they are found along it. OFFSET 0 keeps the filters from what decides on the index. */
#define CHANGED(where, order)                                                                                \
    "WITH moved AS ("                                                                                        \
    "  SELECT * FROM orders WHERE version > 1 AND (updated_at, id) > ($10, $11)" where                       \
    TIMES MAY_BE("customer_id", "$4") MAY_BE("status", "$5")                                                 \
    "   ORDER BY " order " LIMIT $2"                                                                         \
    "), still AS ("                                                                                          \
    "  SELECT * FROM ("                                                                                      \
    "    SELECT * FROM orders WHERE (status, id) >= ('PENDING_SHIPMENT', $6) AND status <> 'DELIVERED'"       \
    "       AND (status, id) < ('PENDING_SHIPMENT', 'ffffffff-ffff-ffff-ffff-ffffffffffff')"                 \
    "     ORDER BY status, id OFFSET 0"                                                                      \
    "  ) pending WHERE coalesce($5, 'PENDING_SHIPMENT') = 'PENDING_SHIPMENT' AND version = 1"                \
    "      AND (updated_at, id) > ($10, $11)" TIMES MAY_BE("client_id", "$3") MAY_BE("customer_id", "$4")    \
    "   ORDER BY status, id LIMIT $2"                                                                        \
    "), o AS ("                                                                                              \
    "  SELECT * FROM (SELECT * FROM moved UNION ALL SELECT * FROM still) o ORDER BY updated_at, id LIMIT $2" \
    ")" ITEMS(CHANGED_FIRST)
static const struct db_query changed[] = {
    {"order_list_changed", CHANGED("", "updated_at, id")},
    {"order_list_changed_client",
     CHANGED(" AND " ONE("client_id", "$3"), "client_id, updated_at, id")},
};
/* clang-format on */

bool order_filter_applies(const struct order_page *page) {
    return page->reference || page->changed_after;
}

static const struct db_query *query_of(const struct order_page *page) {
    bool of_client = page->client_id, by_change = page->changed_after;
    return page->reference ? &referenced[by_change][of_client] : &changed[of_client];
}

/* An order that changed late may be old. But one that never changed is as old as its last change. */
static struct uuid oldest(const struct order_page *page, const struct order_change *change) {
    int64_t ms = page->created_after && *page->created_after > change->ms ? *page->created_after : change->ms;
    return uuid_lowest(ms - ORDER_SPREAD_MS);
}

enum db_status order_filter_list(struct db *db, const struct order_page *page, struct arena *arena,
                                 struct order **orders, size_t *count) {
    static const struct order_change ever = {0};
    const struct order_change *change = page->changed_after ? page->changed_after : &ever;
    struct db_params p = {0};
    struct db_result *result = NULL;
    struct uuid from = oldest(page, change);
    struct uuid below = page->changed_after ? order_highest_id() : order_page_end(page);
    db_uuid_param(&p, &below);
    db_int_param(&p, (int64_t)page->limit);
    db_text_param(&p, page->client_id);
    db_text_param(&p, page->customer_id);
    db_text_param(&p, page->status ? order_status_name(*page->status) : NULL);
    db_uuid_param(&p, &from);
    db_time_param(&p, page->created_after ? *page->created_after : -1);
    db_time_param(&p, page->created_before ? *page->created_before : CLOCK_LATEST_MS);
    db_text_param(&p, page->reference);
    db_time_param(&p, change->ms);
    db_uuid_param(&p, &change->id);
    enum db_status status = db_run(db, query_of(page), &p, &result);
    db_params_free(&p);
    if (status == DB_OK)
        status = order_rows_read(result, arena, orders, count);
    db_result_free(result);
    return status;
}
