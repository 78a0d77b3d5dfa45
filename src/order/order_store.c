/* The SQL of orders that exist. Most statements take a whole batch as arrays. */
#include "order_store.h"

#include "event_rows.h"
#include "order_filter_store.h"
#include "order_page.h"
#include "order_rows.h"

#include <string.h>

const struct db_query order_store_probe = {"order_probe",
                                           "SELECT pg_current_xact_id(), EXISTS (SELECT FROM orders)"};

enum {
    ID,
    CLIENT,
    CUSTOMER,
    STATUS,
    TOTAL,
    TRACKING,
    CARRIER,
    VERSION,
    CANCELLATION,
    REASON,
    CREATED,
    UPDATED,
    CURRENCY,
    REFERENCE,
    METADATA,
    SHIPPED,
    DELIVERED,
    PRODUCT,
    QUANTITY,
    PRICE,
    NEXT
};

static const struct db_query find_query = {
    "order_find", "SELECT " ORDER_COLUMNS ", w.n"
                  "  FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS w(id, client_id, n)"
                  "  JOIN orders o ON o.id = w.id AND (w.client_id IS NULL OR o.client_id = w.client_id)"
                  "  JOIN order_items i ON i.order_id = o.id"
                  " ORDER BY w.n, i.position"};

/* clang-format off */
/* One statement per set of filters, each along one index. The other filters drop rows of it: those of the client itself,
 * those on their way, or with order:read:all those of others. With "column = $3" alone, the planner knows that the order
 * by column and id is the order by id, and may walk the primary key past the orders of everybody else. A range of
 * (column, id) leaves it no choice. It has two columns, because PostgreSQL ends a walk only where the first one differs. */
#define LIST(range, filters, order)                                                                          \
    "WITH o AS (SELECT * FROM orders WHERE " range filters " ORDER BY " order " LIMIT $2)" PAGE_ITEMS
#define PAGE_ITEMS                                                                                           \
    " SELECT " ORDER_COLUMNS                                                                                 \
    "   FROM o JOIN order_items i ON i.order_id = o.id"                                                      \
    "  ORDER BY o.id DESC, i.position"
#define RANGE(column, value)                                                                                 \
    "(" column ", id) < (" value ", $1)"                                                                     \
    " AND (" column ", id) >= (" value ", '00000000-0000-0000-0000-000000000000')"
#define ALL(filters)         LIST("id < $1", filters, "id DESC")
#define OF_CLIENT(filters)   LIST(RANGE("client_id", "$3"), filters, "client_id DESC, id DESC")
#define OF_BOTH(filters)                                                                                     \
    LIST("customer_id = $4 AND " RANGE("client_id", "$3"), filters, "client_id DESC, id DESC")
/* Of each client that has orders of the customer, found one after the other: the index has the client before the id. */
#define OF_CUSTOMER(filters)                                                                                 \
    "WITH RECURSIVE found AS ("                                                                              \
    "  (SELECT client_id FROM orders WHERE customer_id >= $4 AND customer_id <= $4"                          \
    "    ORDER BY customer_id, client_id LIMIT 1)"                                                           \
    "  UNION ALL"                                                                                            \
    "  SELECT (SELECT client_id FROM orders"                                                                 \
    "           WHERE (customer_id, client_id) > ($4, found.client_id) AND customer_id <= $4"                \
    "           ORDER BY customer_id, client_id LIMIT 1)"                                                    \
    "    FROM found WHERE client_id IS NOT NULL"                                                             \
    "), newest AS ("                                                                                         \
    "  SELECT page.id FROM found, LATERAL ("                                                                 \
    "    SELECT id FROM orders WHERE customer_id = $4 AND " RANGE("client_id", "found.client_id") filters     \
    "     ORDER BY client_id DESC, id DESC LIMIT $2"                                                         \
    "  ) page ORDER BY page.id DESC LIMIT $2"                                                                \
    "), o AS (SELECT orders.* FROM newest JOIN orders USING (id))" PAGE_ITEMS
#define OPEN(filters)        LIST(RANGE("status", "$5"), IS_OPEN filters, "status DESC, id DESC")
#define BY_CLIENT " AND client_id = $3"
#define BY_STATUS " AND status = $5"
#define IS_OPEN   " AND status <> 'DELIVERED'" /* as in orders_open_idx, which has few orders but cancelled ones */

enum { LIST_CLIENT = 1, LIST_CUSTOMER = 2, LIST_DELIVERED = 4, LIST_OPEN = 8, LISTS = 12 };
static const struct db_query list_queries[LISTS] = {
    {"order_list", ALL("")},
    {"order_list_client", OF_CLIENT("")},
    {"order_list_customer", OF_CUSTOMER("")},
    {"order_list_client_customer", OF_BOTH("")},
    {"order_list_delivered", ALL(BY_STATUS)},
    {"order_list_client_delivered", OF_CLIENT(BY_STATUS)},
    {"order_list_customer_delivered", OF_CUSTOMER(BY_STATUS)},
    {"order_list_client_customer_delivered", OF_BOTH(BY_STATUS)},
    {"order_list_open", OPEN("")},
    {"order_list_client_open", OPEN(BY_CLIENT)},
    {"order_list_customer_open", OF_CUSTOMER(BY_STATUS)},
    {"order_list_client_customer_open", OF_BOTH(BY_STATUS)},
};
/* Along orders_cancelled_idx. */
static const struct db_query cancelled_of_client = {"order_list_client_cancelled",
                                                    OF_CLIENT(" AND status = 'CANCELLED'")};
/* clang-format on */

/* A transaction gets its number with its first row lock. If it then waited for the next row, the one that it waits for
 * could have a higher number, and the history of that order would be out of order. So it first waits for its turn with each
 * of the orders, which takes no number. */
static const struct db_query lock_query = {
    "order_lock",
    "SELECT " ORDER_COLUMNS " "
    "  FROM orders o JOIN order_items i ON i.order_id = o.id"
    " WHERE o.id = ANY ($1::uuid[])"
    "   AND (SELECT count(pg_advisory_xact_lock(turn))"
    "          FROM (SELECT DISTINCT hashtextextended(id::text, 0) AS turn FROM unnest($1::uuid[]) id"
    "                 ORDER BY turn) turns) >= 0"
    " ORDER BY o.id, i.position"
    "   FOR NO KEY UPDATE OF o"};

static const struct db_query update_query = {
    "order_update",
    "WITH recorded AS (" EVENT_INSERT_ROWS(
        "$11", "$12", "$13", "$14", "$15", "$16", "$17", "$18", "$19",
        "$20") ")"
               "UPDATE orders o"
               "   SET status = t.status, tracking_number = t.tracking_number, carrier = t.carrier,"
               "       version = t.version, updated_at = t.updated_at, quiet_since = now(),"
               "       shipped_at = t.shipped_at, delivered_at = t.delivered_at,"
               "       cancellation = t.cancellation, cancellation_reason = t.cancellation_reason"
               "  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[],"
               "              $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[])"
               "    AS t(id, status, tracking_number, carrier, version, updated_at, shipped_at, delivered_at,"
               "         cancellation, cancellation_reason)"
               " WHERE o.id = t.id"};

/* Copies a text into arena. NULL stays NULL. False when out of memory. */
static bool copy(struct arena *arena, const struct db_result *result, size_t row, int column,
                 const char **out) {
    const char *text = db_text(result, row, column);
    *out = text ? arena_strdup(arena, text) : NULL;
    return !text || *out;
}

/* Reads an order from its rows, the first of them at row. False when out of memory (then arena->failed is set), or
 * when the status is unknown. */
static bool read_order_rows(const struct db_result *result, size_t row, size_t rows, struct arena *arena,
                            struct order *order) {
    order->id = db_uuid(result, row, ID);
    order->total = db_cents(result, row, TOTAL);
    order->version = db_int(result, row, VERSION);
    order->created_ms = db_int(result, row, CREATED);
    order->updated_ms = db_int(result, row, UPDATED);
    order->shipped_ms = db_int(result, row, SHIPPED);
    order->delivered_ms = db_int(result, row, DELIVERED);
    order->item_count = rows;
    order->items = arena_array(arena, rows, sizeof *order->items);
    bool ok = order->items && copy(arena, result, row, CLIENT, &order->client_id) &&
              copy(arena, result, row, CUSTOMER, &order->customer_id) &&
              copy(arena, result, row, TRACKING, &order->tracking_number) &&
              copy(arena, result, row, CARRIER, &order->carrier) &&
              copy(arena, result, row, CURRENCY, &order->currency) &&
              copy(arena, result, row, REFERENCE, &order->reference) &&
              copy(arena, result, row, METADATA, &order->metadata) &&
              copy(arena, result, row, REASON, &order->cancellation_reason) &&
              order_cancellation_parse(db_text(result, row, CANCELLATION), &order->cancellation) &&
              order_status_parse(db_text(result, row, STATUS), &order->status);
    for (size_t i = 0; ok && i < rows; i++) {
        order->items[i].quantity = db_int(result, row + i, QUANTITY);
        order->items[i].unit_price = db_cents(result, row + i, PRICE);
        ok = copy(arena, result, row + i, PRODUCT, &order->items[i].product_id);
    }
    return ok;
}

/* The number of rows, from row on, that belong to the same order: they have the same text in column. */
static size_t rows_of_order(const struct db_result *result, size_t row, int column) {
    size_t end = row + 1;
    while (end < db_rows(result) && strcmp(db_text(result, end, column), db_text(result, row, column)) == 0)
        end++;
    return end - row;
}

enum db_status order_store_find(struct db *db, struct order_wanted wanted[], size_t n, struct arena *arena) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    int id = db_array(&p, DB_UUID), client = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &wanted[i].id);
        db_add_text(&p, client, wanted[i].client_id);
        wanted[i].order = NULL;
    }
    enum db_status status = db_run(db, &find_query, &p, &result);
    for (size_t row = 0, rows; status == DB_OK && row < db_rows(result); row += rows) {
        rows = rows_of_order(result, row, NEXT);
        struct order *order = arena_alloc(arena, sizeof *order);
        if (!order || !read_order_rows(result, row, rows, arena, order))
            status = arena->failed ? DB_NO_MEMORY : DB_FAILED;
        else
            wanted[db_int(result, row, NEXT) - 1].order = order;
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}

enum db_status order_rows_read(const struct db_result *result, struct arena *arena, struct order **orders,
                               size_t *count) {
    *count = 0;
    *orders = arena_array(arena, db_rows(result) + 1, sizeof **orders);
    if (!*orders)
        return DB_NO_MEMORY;
    for (size_t row = 0, rows; row < db_rows(result); row += rows) {
        rows = rows_of_order(result, row, ID);
        if (!read_order_rows(result, row, rows, arena, &(*orders)[(*count)++]))
            return arena->failed ? DB_NO_MEMORY : DB_FAILED;
    }
    return DB_OK;
}

static const struct db_query *list_of(const struct order_page *page) {
    if (page->client_id && !page->customer_id && page->status && *page->status == ORDER_CANCELLED)
        return &cancelled_of_client;
    size_t list = (page->client_id ? LIST_CLIENT : 0u) | (page->customer_id ? LIST_CUSTOMER : 0u);
    if (page->status)
        list |= *page->status == ORDER_DELIVERED ? LIST_DELIVERED : LIST_OPEN;
    return &list_queries[list];
}

enum db_status order_store_list(struct db *db, const struct order_page *page, struct arena *arena,
                                struct order **orders, size_t *count) {
    if (order_filter_applies(page))
        return order_filter_list(db, page, arena, orders, count);
    struct uuid end = order_page_end(page);
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_uuid_param(&p, &end);
    db_int_param(&p, (int64_t)page->limit);
    db_text_param(&p, page->client_id);
    db_text_param(&p, page->customer_id);
    db_text_param(&p, page->status ? order_status_name(*page->status) : NULL);
    enum db_status status = db_run(db, list_of(page), &p, &result);
    if (status == DB_OK)
        status = order_rows_read(result, arena, orders, count);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

enum db_status order_store_lock(struct db *db, const struct uuid ids[], size_t n, struct arena *arena,
                                struct order **orders, size_t *count) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    int id = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, id, &ids[i]);
    enum db_status status = db_run(db, &lock_query, &p, &result);
    if (status == DB_OK)
        status = order_rows_read(result, arena, orders, count);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

enum db_status order_store_update(struct db *db, const struct order *const orders[], size_t n,
                                  const struct order_event events[], size_t event_count) {
    struct db_params p = {0};
    int id = db_array(&p, DB_UUID), status = db_array(&p, DB_TEXT), tracking = db_array(&p, DB_TEXT);
    int carrier = db_array(&p, DB_TEXT), version = db_array(&p, DB_INT), updated = db_array(&p, DB_TIME);
    int shipped = db_array(&p, DB_TIME), delivered = db_array(&p, DB_TIME);
    int cancellation = db_array(&p, DB_TEXT), reason = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &orders[i]->id);
        db_add_text(&p, status, order_status_name(orders[i]->status));
        db_add_text(&p, tracking, orders[i]->tracking_number);
        db_add_text(&p, carrier, orders[i]->carrier);
        db_add_int(&p, version, orders[i]->version);
        db_add_time(&p, updated, orders[i]->updated_ms);
        db_add_time(&p, shipped, orders[i]->shipped_ms ? orders[i]->shipped_ms : DB_NO_TIME);
        db_add_time(&p, delivered, orders[i]->delivered_ms ? orders[i]->delivered_ms : DB_NO_TIME);
        db_add_text(&p, cancellation, order_cancellation_name(orders[i]->cancellation));
        db_add_text(&p, reason, orders[i]->cancellation_reason);
    }
    event_rows_add(&p, events, event_count);
    enum db_status result = db_run(db, &update_query, &p, NULL);
    db_params_free(&p);
    return result;
}
