/* The SQL of orders. Most statements take a whole batch as arrays. */
#include "order_store.h"

#include "common/events/outbox_rows.h"
#include "event_rows.h"

#include <string.h>

const struct db_query order_store_probe = {"order_probe",
                                           "SELECT pg_current_xact_id(), EXISTS (SELECT FROM orders)"};

/* clang-format off */
/* One statement is one transaction and one round trip. Whoever inserts a key first (or takes over an expired one)
 * creates the order. The others wait for that transaction and find the key taken. */
static const struct db_query create_query = {
    "order_create",
    "WITH input AS ("
    "  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[],"
    "                       $7::bytea[], $8::timestamptz[], $9::uuid[], $10::text[], $11::text[], $12::text[])"
    "    WITH ORDINALITY AS t(id, client_id, customer_id, cents, created_at, key,"
    "         fingerprint, expires_at, event_id, payload, correlation_id, traceparent, n)"
    "), claimed AS ("
    "  INSERT INTO idempotency_keys AS k (client_id, key, fingerprint, order_id, expires_at)"
    "  SELECT client_id, key, fingerprint, id, expires_at FROM input WHERE key IS NOT NULL"
    "  ON CONFLICT (client_id, key) DO UPDATE"
    "    SET fingerprint = excluded.fingerprint, order_id = excluded.order_id,"
    "        expires_at = excluded.expires_at"
    "    WHERE k.expires_at <= now()"
    "  RETURNING order_id"
    "), fresh AS ("
    "  SELECT * FROM input WHERE key IS NULL OR id IN (SELECT order_id FROM claimed)"
    "), placed AS ("
    "  INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at)"
    "  SELECT id, client_id, customer_id, cents * 0.01, created_at, created_at FROM fresh"
    "), listed AS ("
    "  INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"
    "  SELECT i.order_id, i.position, i.product_id, i.quantity, i.cents * 0.01"
    "    FROM unnest($13::uuid[], $14::bigint[], $15::text[], $16::bigint[], $17::bigint[])"
    "      AS i(order_id, position, product_id, quantity, cents)"
    "   WHERE i.order_id IN (SELECT id FROM fresh)"
    "), announced AS ("
    "  " OUTBOX_INSERT("order_outbox")
    "  SELECT event_id, id, payload, correlation_id, traceparent FROM fresh"
    "), recorded AS ("
    "  " EVENT_INSERT
    "  SELECT " EVENT_POSITION ", n, created_at, id, client_id, 'order.created', NULL, 'PENDING_SHIPMENT', NULL,"
    "         correlation_id, nullif(substr(traceparent, 4, 32), ''), NULL"
    "    FROM fresh"
    ")"
    " SELECT id FROM fresh"};
/* clang-format on */

/* What the keys that were taken stand for. A key whose order is gone (erased, or lost by a restore) is removed: key and
 * order are committed together, so a snapshot that has the key has the order, too, unless it was deleted. */
static const struct db_query taken_query = {
    "order_taken",
    "WITH taken AS ("
    "  SELECT i.n, i.fingerprint = k.fingerprint AS same, k.client_id, k.key, k.expires_at, k.order_id,"
    "         o.id, o.total_amount, o.created_at"
    "    FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS i(client_id, key, fingerprint, n)"
    "    JOIN idempotency_keys k ON k.client_id = i.client_id AND k.key = i.key"
    "    LEFT JOIN orders o ON o.id = k.order_id"
    "), freed AS ("
    "  DELETE FROM idempotency_keys k USING taken t"
    "   WHERE t.id IS NULL AND k.client_id = t.client_id AND k.key = t.key AND k.order_id = t.order_id"
    ")"
    " SELECT n, same, id, total_amount, (extract(epoch FROM created_at) * 1000)::bigint,"
    "        (extract(epoch FROM expires_at) * 1000)::bigint"
    "   FROM taken WHERE id IS NOT NULL"};
enum { TAKEN_N, TAKEN_SAME, TAKEN_ID, TAKEN_TOTAL, TAKEN_CREATED, TAKEN_EXPIRES };

#define ORDER_COLUMNS                                                                                        \
    "o.id, o.client_id, o.customer_id, o.status, o.total_amount, o.tracking_number, o.carrier, o.version,"   \
    " o.cancellation, o.cancellation_reason,"                                                                \
    " (extract(epoch FROM o.created_at) * 1000)::bigint, (extract(epoch FROM o.updated_at) * 1000)::bigint," \
    " i.product_id, i.quantity, i.unit_price"
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
    "WITH o AS (SELECT * FROM orders WHERE " range filters " ORDER BY " order " LIMIT $2)"                   \
    " SELECT " ORDER_COLUMNS                                                                                 \
    "   FROM o JOIN order_items i ON i.order_id = o.id"                                                      \
    "  ORDER BY o.id DESC, i.position"
#define RANGE(column, value)                                                                                 \
    "(" column ", id) < (" value ", $1)"                                                                     \
    " AND (" column ", id) >= (" value ", '00000000-0000-0000-0000-000000000000')"
#define ALL(filters)         LIST("id < $1", filters, "id DESC")
#define OF_CLIENT(filters)   LIST(RANGE("client_id", "$3"), filters, "client_id DESC, id DESC")
#define OF_CUSTOMER(filters) LIST(RANGE("customer_id", "$4"), filters, "customer_id DESC, id DESC")
#define OF_BOTH(filters)                                                                                     \
    LIST("customer_id = $4 AND " RANGE("client_id", "$3"), filters, "client_id DESC, id DESC")
#define OPEN(filters)        LIST(RANGE("status", "$5"), IS_OPEN filters, "status DESC, id DESC")
#define BY_CLIENT " AND client_id = $3"
#define BY_STATUS " AND status = $5"
#define IS_OPEN   " AND status <> 'DELIVERED'" /* as in orders_open_idx, which has few orders */

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
        "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16", "$17",
        "$18") ")"
               "UPDATE orders o"
               "   SET status = t.status, tracking_number = t.tracking_number, carrier = t.carrier,"
               "       version = t.version, updated_at = t.updated_at, quiet_since = now(),"
               "       cancellation = t.cancellation, cancellation_reason = t.cancellation_reason"
               "  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[],"
               "              $7::text[], $8::text[])"
               "    AS t(id, status, tracking_number, carrier, version, updated_at, cancellation,"
               "         cancellation_reason)"
               " WHERE o.id = t.id"};

static void add_orders(struct db_params *p, struct order_creation *const creations[], size_t n) {
    int id = db_array(p, DB_UUID), client = db_array(p, DB_TEXT), customer = db_array(p, DB_TEXT);
    int cents = db_array(p, DB_INT), created = db_array(p, DB_TIME), key = db_array(p, DB_TEXT);
    int fingerprint = db_array(p, DB_BYTES), expires = db_array(p, DB_TIME), event = db_array(p, DB_UUID);
    int payload = db_array(p, DB_TEXT), correlation = db_array(p, DB_TEXT),
        traceparent = db_array(p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        const struct order_creation *c = creations[i];
        db_add_uuid(p, id, &c->order->id);
        db_add_text(p, client, c->order->client_id);
        db_add_text(p, customer, c->order->customer_id);
        db_add_int(p, cents, c->order->total);
        db_add_time(p, created, c->order->created_ms);
        db_add_text(p, key, c->key);
        db_add_bytes(p, fingerprint, c->fingerprint, sizeof c->fingerprint);
        db_add_time(p, expires, c->expires_ms);
        db_add_uuid(p, event, &c->event_id);
        db_add_text(p, payload, c->event);
        db_add_text(p, correlation, c->request_id);
        db_add_text(p, traceparent, c->traceparent);
    }
}

static void add_items(struct db_params *p, struct order_creation *const creations[], size_t n) {
    int id = db_array(p, DB_UUID), position = db_array(p, DB_INT), product = db_array(p, DB_TEXT);
    int quantity = db_array(p, DB_INT), price = db_array(p, DB_INT);
    for (size_t i = 0; i < n; i++) {
        const struct order *order = creations[i]->order;
        for (size_t j = 0; j < order->item_count; j++) {
            db_add_uuid(p, id, &order->id);
            db_add_int(p, position, (int64_t)j + 1);
            db_add_text(p, product, order->items[j].product_id);
            db_add_int(p, quantity, order->items[j].quantity);
            db_add_int(p, price, order->items[j].unit_price);
        }
    }
}

static void mark_created(struct order_creation *const creations[], size_t n, const struct db_result *result) {
    for (size_t row = 0, i = 0; row < db_rows(result); row++) {
        struct uuid id = db_uuid(result, row, 0);
        /* Rows mostly come in the order of the input, so the search goes on where it ended. */
        for (size_t tried = 0; tried < n; tried++, i++) {
            struct order_creation *c = creations[i % n];
            if (uuid_compare(&c->order->id, &id) == 0) {
                c->outcome = ORDER_CREATED;
                break;
            }
        }
    }
}

enum db_status order_store_create(struct db *db, struct order_creation *const creations[], size_t n) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    add_orders(&p, creations, n);
    add_items(&p, creations, n);
    enum db_status status = db_run(db, &create_query, &p, &result);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        creations[i]->outcome = ORDER_KEY_TAKEN;
    mark_created(creations, n, result);
    db_result_free(result);
    return DB_OK;
}

enum db_status order_store_find_taken(struct db *db, struct order_creation *const creations[], size_t n) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    int client = db_array(&p, DB_TEXT), key = db_array(&p, DB_TEXT), fingerprint = db_array(&p, DB_BYTES);
    for (size_t i = 0; i < n; i++) {
        db_add_text(&p, client, creations[i]->order->client_id);
        db_add_text(&p, key, creations[i]->key);
        db_add_bytes(&p, fingerprint, creations[i]->fingerprint, sizeof creations[i]->fingerprint);
        creations[i]->outcome = ORDER_KEY_FREE;
    }
    enum db_status status = db_run(db, &taken_query, &p, &result);
    for (size_t row = 0; row < db_rows(result); row++) {
        struct order_creation *c = creations[db_int(result, row, TAKEN_N) - 1];
        c->outcome = db_bool(result, row, TAKEN_SAME) ? ORDER_REPLAYED : ORDER_KEY_REUSED;
        c->order->id = db_uuid(result, row, TAKEN_ID);
        c->order->total = db_cents(result, row, TAKEN_TOTAL);
        c->order->created_ms = db_int(result, row, TAKEN_CREATED);
        c->expires_ms = db_int(result, row, TAKEN_EXPIRES);
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}

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
    order->item_count = rows;
    order->items = arena_array(arena, rows, sizeof *order->items);
    bool ok = order->items && copy(arena, result, row, CLIENT, &order->client_id) &&
              copy(arena, result, row, CUSTOMER, &order->customer_id) &&
              copy(arena, result, row, TRACKING, &order->tracking_number) &&
              copy(arena, result, row, CARRIER, &order->carrier) &&
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

/* Reads all orders of a result into *orders. */
static enum db_status read_orders(const struct db_result *result, struct arena *arena, struct order **orders,
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

static size_t list_of(const struct order_page *page) {
    size_t list = (page->client_id ? LIST_CLIENT : 0u) | (page->customer_id ? LIST_CUSTOMER : 0u);
    if (page->status)
        list |= *page->status == ORDER_DELIVERED ? LIST_DELIVERED : LIST_OPEN;
    return list;
}

enum db_status order_store_list(struct db *db, const struct order_page *page, struct arena *arena,
                                struct order **orders, size_t *count) {
    static const struct uuid last = {
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_uuid_param(&p, page->before ? page->before : &last);
    db_int_param(&p, (int64_t)page->limit);
    db_text_param(&p, page->client_id);
    db_text_param(&p, page->customer_id);
    db_text_param(&p, page->status ? order_status_name(*page->status) : NULL);
    enum db_status status = db_run(db, &list_queries[list_of(page)], &p, &result);
    if (status == DB_OK)
        status = read_orders(result, arena, orders, count);
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
        status = read_orders(result, arena, orders, count);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

enum db_status order_store_update(struct db *db, const struct order *const orders[], size_t n,
                                  const struct order_event events[], size_t event_count) {
    struct db_params p = {0};
    int id = db_array(&p, DB_UUID), status = db_array(&p, DB_TEXT), tracking = db_array(&p, DB_TEXT);
    int carrier = db_array(&p, DB_TEXT), version = db_array(&p, DB_INT), updated = db_array(&p, DB_TIME);
    int cancellation = db_array(&p, DB_TEXT), reason = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &orders[i]->id);
        db_add_text(&p, status, order_status_name(orders[i]->status));
        db_add_text(&p, tracking, orders[i]->tracking_number);
        db_add_text(&p, carrier, orders[i]->carrier);
        db_add_int(&p, version, orders[i]->version);
        db_add_time(&p, updated, orders[i]->updated_ms);
        db_add_text(&p, cancellation, order_cancellation_name(orders[i]->cancellation));
        db_add_text(&p, reason, orders[i]->cancellation_reason);
    }
    event_rows_add(&p, events, event_count);
    enum db_status result = db_run(db, &update_query, &p, NULL);
    db_params_free(&p);
    return result;
}
