/* Lists of orders by reference, time of creation or last change. */
#include "order_filter_store.h"

#include "common/base/clock.h"
#include "order_rows.h"

/* clang-format off */
/* Each statement goes along one index, and the other filters drop rows of it, as in order_store.c. With "column = $3", the
 * planner may walk another index in the same order, past the orders of everybody else. With "column = ANY" it does not know
 * that the column has one value, and a walk still ends where the id is out of range.
 * $1 and $6: the ids lie between. $7 and $8: created between. $10 and $11: changed after. */
#define ONE(column, value) column " = ANY (ARRAY[" value "::text])"
#define ITEMS(order)                                                                                         \
    " SELECT " ORDER_COLUMNS " FROM o JOIN order_items i ON i.order_id = o.id ORDER BY " order ", i.position"
#define NEWEST_FIRST  "o.id DESC"
#define CHANGED_FIRST "o.updated_at, o.id"
#define IDS           " AND id < $1 AND id >= $6"
#define TIMES         " AND created_at > $7 AND created_at < $8"
#define MAY_BE(column, value) " AND (" value "::text IS NULL OR " column " = " value ")"

#define CREATED(where, order)                                                                                \
    "WITH o AS (SELECT * FROM orders WHERE " where IDS TIMES " ORDER BY " order " LIMIT $2)" ITEMS(NEWEST_FIRST)
static const struct db_query created_open = {
    "order_list_created_open", /* orders_open_idx has few orders */
    CREATED(ONE("status", "$5") " AND status <> 'DELIVERED'" MAY_BE("client_id", "$3"), "status DESC, id DESC")};
enum { CREATED_CLIENT = 1, CREATED_CUSTOMER = 2 };
static const struct db_query created[] = {
    {"order_list_created", CREATED("true" MAY_BE("status", "$5"), "id DESC")},
    {"order_list_created_client",
     CREATED(ONE("client_id", "$3") MAY_BE("status", "$5"), "client_id DESC, id DESC")},
    {"order_list_created_customer",
     CREATED(ONE("customer_id", "$4") MAY_BE("status", "$5"), "customer_id DESC, id DESC")},
    {"order_list_created_client_customer",
     CREATED("customer_id = $4 AND " ONE("client_id", "$3") MAY_BE("status", "$5"), "client_id DESC, id DESC")},
};

/* A reference has one order of each client at most. */
#define REFERENCED(client, order)                                                                            \
    "WITH found AS MATERIALIZED (SELECT * FROM orders WHERE reference = $9" client "),"                      \
    " o AS (SELECT * FROM found o WHERE true" IDS TIMES MAY_BE("customer_id", "$4") MAY_BE("status", "$5")   \
    "          AND (updated_at, id) > ($10, $11) ORDER BY " order " LIMIT $2)" ITEMS(order)
static const struct db_query referenced[2][2] = {
    {{"order_list_reference", REFERENCED("", NEWEST_FIRST)},
     {"order_list_reference_client", REFERENCED(" AND client_id = $3", NEWEST_FIRST)}},
    {{"order_list_reference_changed", REFERENCED("", CHANGED_FIRST)},
     {"order_list_reference_client_changed", REFERENCED(" AND client_id = $3", CHANGED_FIRST)}},
};

/* Orders that have changed are in an index of their own. The others are PENDING_SHIPMENT. They changed last when they were
 * created, which is the time in their id, so they are found along it. */
#define CHANGED(where, order)                                                                                \
    "WITH moved AS ("                                                                                        \
    "  SELECT * FROM orders WHERE version > 1 AND (updated_at, id) > ($10, $11)" where                       \
    TIMES MAY_BE("customer_id", "$4") MAY_BE("status", "$5")                                                 \
    "   ORDER BY " order " LIMIT $2"                                                                         \
    "), still AS ("                                                                                          \
    "  SELECT * FROM orders WHERE " ONE("status", "'PENDING_SHIPMENT'") " AND status <> 'DELIVERED'"         \
    "     AND id >= $6 AND version = 1 AND (updated_at, id) > ($10, $11)"                                    \
    TIMES MAY_BE("client_id", "$3") MAY_BE("customer_id", "$4") MAY_BE("status", "$5")                       \
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

enum {
    SPREAD_MS = 1000, /* between the time in an id and that of creation, which were two looks at the clock */
};

bool order_filter_applies(const struct order_page *page) {
    return page->reference || page->created_after || page->created_before || page->changed_after;
}

static const struct db_query *query_of(const struct order_page *page) {
    if (page->reference)
        return &referenced[page->changed_after != NULL][page->client_id != NULL];
    if (page->changed_after)
        return &changed[page->client_id != NULL];
    if (page->status && *page->status != ORDER_DELIVERED && !page->customer_id)
        return &created_open;
    return &created[(page->client_id ? CREATED_CLIENT : 0) | (page->customer_id ? CREATED_CUSTOMER : 0)];
}

/* The lowest id of this time. */
static struct uuid id_at(int64_t ms) {
    struct uuid id = {{0}};
    for (int i = 0; ms > 0 && i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    return id;
}

/* All ids of the page lie below the first, and not below the second. */
static void add_ids(struct db_params *p, const struct order_page *page, struct uuid *from) {
    static const struct uuid last = {
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct uuid below = page->before && !page->changed_after ? *page->before : last;
    int64_t after_ms = page->created_after ? *page->created_after : 0;
    if (page->created_before) {
        struct uuid end = id_at(*page->created_before + SPREAD_MS);
        below = uuid_compare(&end, &below) < 0 ? end : below;
    }
    /* An order that changed late may be old. But those that never changed are as old as their last change. */
    if (page->changed_after && !page->reference && page->changed_after->ms > after_ms)
        after_ms = page->changed_after->ms;
    *from = id_at(after_ms - SPREAD_MS);
    db_uuid_param(p, &below);
}

enum db_status order_filter_list(struct db *db, const struct order_page *page, struct arena *arena,
                                 struct order **orders, size_t *count) {
    static const struct order_change ever = {0};
    const struct order_change *change = page->changed_after ? page->changed_after : &ever;
    struct db_params p = {0};
    struct db_result *result = NULL;
    struct uuid from;
    add_ids(&p, page, &from);
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
