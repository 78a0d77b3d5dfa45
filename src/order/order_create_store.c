/* The SQL of new orders. Each statement takes a whole batch as arrays. */
#include "order_store.h"

#include "common/events/outbox_rows.h"
#include "event_rows.h"

#include <stdio.h>

/* clang-format off */
/* One statement is one transaction and one round trip. Whoever inserts a key first (or takes over an expired one)
 * creates the order. The others wait for that transaction and find the key taken. Keys begin and end on the database's
 * clock, as those of replicas may differ. */
#define CREATE(wanted, placed)                                                                               \
    "WITH input AS ("                                                                                        \
    "  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[]," \
    "                       $7::bytea[], $8::bigint[], $9::uuid[], $10::text[], $11::text[], $12::text[]," \
    "                       $18::text[], $19::text[], $20::text[])"                                          \
    "    WITH ORDINALITY AS t(id, client_id, customer_id, cents, created_at, key,"                           \
    "         fingerprint, life_ms, event_id, payload, correlation_id, traceparent,"                      \
    "         currency, reference, metadata, n)"                                                             \
    ")" wanted ", claimed AS ("                                                                              \
    "  INSERT INTO idempotency_keys AS k (client_id, key, fingerprint, order_id, expires_at)"                \
    "  SELECT client_id, key, fingerprint, id, now() + life_ms * interval '1 ms'"                            \
    "    FROM wanted WHERE key IS NOT NULL"                                                                  \
    "  ON CONFLICT (client_id, key) DO UPDATE"                                                               \
    "    SET fingerprint = excluded.fingerprint, order_id = excluded.order_id,"                              \
    "        expires_at = excluded.expires_at"                                                               \
    "    WHERE k.expires_at <= now()"                                                                        \
    "  RETURNING order_id"                                                                                   \
    "), " placed ", listed AS ("                                                                             \
    "  INSERT INTO order_items (order_id, position, product_id, quantity, unit_price)"                       \
    "  SELECT i.order_id, i.position, i.product_id, i.quantity, i.cents * 0.01"                              \
    "    FROM unnest($13::uuid[], $14::bigint[], $15::text[], $16::bigint[], $17::bigint[])"                 \
    "      AS i(order_id, position, product_id, quantity, cents)"                                            \
    "   WHERE i.order_id IN (SELECT id FROM fresh)"                                                          \
    "), announced AS ("                                                                                      \
    "  " OUTBOX_INSERT("order_outbox")                                                                       \
    "  SELECT event_id, id, payload, correlation_id, traceparent FROM fresh"                                 \
    "), recorded AS ("                                                                                       \
    "  " EVENT_INSERT                                                                                        \
    "  SELECT " EVENT_POSITION ", n, created_at, id, client_id, 'order.created', NULL, 'PENDING_SHIPMENT', NULL," \
    "         correlation_id, nullif(substr(traceparent, 4, 32), ''), NULL"                                  \
    "    FROM fresh"                                                                                         \
    ")"                                                                                                      \
    " SELECT id FROM fresh"
#define HAS_KEY "key IS NULL OR id IN (SELECT order_id FROM claimed)"
#define PLACE                                                                                                \
    "  INSERT INTO orders (id, client_id, customer_id, total_amount, created_at, updated_at, currency,"      \
    "                      reference, metadata)"                                                             \
    "  SELECT id, client_id, customer_id, cents * 0.01, created_at, created_at, currency, reference, metadata FROM "

static const struct db_query create_query = {
    "order_create",
    CREATE(", wanted AS (SELECT * FROM input)",
           "fresh AS (SELECT * FROM input WHERE " HAS_KEY "), placed AS (" PLACE "fresh)")};

/* Where an order has a reference, each order must also be the first one with its own. Those that are not do not fail the
 * others, and get no key. Only one whose rival is committed at the same moment, or is in the same batch, has got its key by
 * then. The key stands for no order, so taken_query removes it. Keys are inserted before orders, and orders sorted by
 * reference, so workers cannot deadlock. */
static const struct db_query create_referenced_query = {
    "order_create_referenced",
    CREATE(", wanted AS ("
           "  SELECT input.* FROM input LEFT JOIN LATERAL ("
           "    SELECT true AS found FROM orders o"
           "     WHERE o.client_id = input.client_id AND o.reference = input.reference LIMIT 1"
           "  ) rival ON true WHERE rival.found IS NULL"
           ")",
           "keyed AS (SELECT * FROM wanted WHERE " HAS_KEY "), placed AS (" PLACE "keyed"
           "   ORDER BY reference, client_id"
           "  ON CONFLICT (client_id, reference) WHERE reference IS NOT NULL DO NOTHING"
           "  RETURNING id"
           "), fresh AS (SELECT * FROM keyed WHERE id IN (SELECT id FROM placed))")};

/* What the keys that were taken stand for. A key whose order is gone (erased, or lost by a restore) is removed: key and
 * order are committed together, so a snapshot that has the key has the order, too, unless it was deleted. Without such an
 * order, the reference may be that of another one. */
static const struct db_query taken_query = {
    "order_taken",
    "WITH taken AS ("
    "  SELECT i.n, i.fingerprint = k.fingerprint AS same, k.client_id, k.key, k.expires_at, k.order_id,"
    "         o.id, o.total_amount, o.created_at, o.currency, rival.found"
    "    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]) WITH ORDINALITY"
    "      AS i(client_id, key, fingerprint, reference, n)"
    "    LEFT JOIN idempotency_keys k ON k.client_id = i.client_id AND k.key = i.key"
    "    LEFT JOIN orders o ON o.id = k.order_id"
    "    LEFT JOIN LATERAL ("
    "      SELECT true AS found FROM orders r"
    "       WHERE r.client_id = i.client_id AND r.reference = i.reference LIMIT 1"
    "    ) rival ON true"
    "), freed AS ("
    "  DELETE FROM idempotency_keys k USING taken t"
    "   WHERE t.id IS NULL AND k.client_id = t.client_id AND k.key = t.key AND k.order_id = t.order_id"
    ")"
    " SELECT n, same, id, total_amount, (extract(epoch FROM created_at) * 1000)::bigint,"
    "        (extract(epoch FROM expires_at) * 1000)::bigint, currency"
    "   FROM taken WHERE id IS NOT NULL OR found"};
enum { TAKEN_N, TAKEN_SAME, TAKEN_ID, TAKEN_TOTAL, TAKEN_CREATED, TAKEN_EXPIRES, TAKEN_CURRENCY };
/* clang-format on */

static void add_orders(struct db_params *p, struct order_creation *const creations[], size_t n) {
    int id = db_array(p, DB_UUID), client = db_array(p, DB_TEXT), customer = db_array(p, DB_TEXT);
    int cents = db_array(p, DB_INT), created = db_array(p, DB_TIME), key = db_array(p, DB_TEXT);
    int fingerprint = db_array(p, DB_BYTES), life = db_array(p, DB_INT), event = db_array(p, DB_UUID);
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
        db_add_int(p, life, c->expires_ms - c->order->created_ms);
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

static void add_fields(struct db_params *p, struct order_creation *const creations[], size_t n) {
    int currency = db_array(p, DB_TEXT), reference = db_array(p, DB_TEXT), metadata = db_array(p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        const struct order *order = creations[i]->order;
        db_add_text(p, currency, order->currency);
        db_add_text(p, reference, order->reference);
        db_add_text(p, metadata, order->metadata);
    }
}

static bool has_reference(struct order_creation *const creations[], size_t n) {
    for (size_t i = 0; i < n; i++)
        if (creations[i]->order->reference)
            return true;
    return false;
}

enum db_status order_store_create(struct db *db, struct order_creation *const creations[], size_t n) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    add_orders(&p, creations, n);
    add_items(&p, creations, n);
    add_fields(&p, creations, n);
    const struct db_query *query = has_reference(creations, n) ? &create_referenced_query : &create_query;
    enum db_status status = db_run(db, query, &p, &result);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        creations[i]->outcome = ORDER_KEY_TAKEN;
    mark_created(creations, n, result);
    db_result_free(result);
    return DB_OK;
}

/* The order that a key stands for. The currency is that of the order, which need not be today's default. */
static void read_taken(const struct db_result *result, size_t row, struct order_creation *c) {
    c->outcome = db_bool(result, row, TAKEN_SAME) ? ORDER_REPLAYED : ORDER_KEY_REUSED;
    c->order->id = db_uuid(result, row, TAKEN_ID);
    c->order->total = db_cents(result, row, TAKEN_TOTAL);
    c->order->created_ms = db_int(result, row, TAKEN_CREATED);
    c->expires_ms = db_int(result, row, TAKEN_EXPIRES);
    const char *currency = db_text(result, row, TAKEN_CURRENCY);
    snprintf(c->currency, sizeof c->currency, "%s", currency ? currency : "");
    c->order->currency = currency ? c->currency : NULL;
}

enum db_status order_store_find_taken(struct db *db, struct order_creation *const creations[], size_t n) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    int client = db_array(&p, DB_TEXT), key = db_array(&p, DB_TEXT), fingerprint = db_array(&p, DB_BYTES);
    int reference = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_text(&p, client, creations[i]->order->client_id);
        db_add_text(&p, key, creations[i]->key);
        db_add_bytes(&p, fingerprint, creations[i]->fingerprint, sizeof creations[i]->fingerprint);
        db_add_text(&p, reference, creations[i]->order->reference);
        creations[i]->outcome = ORDER_KEY_FREE;
    }
    enum db_status status = db_run(db, &taken_query, &p, &result);
    for (size_t row = 0; row < db_rows(result); row++) {
        struct order_creation *c = creations[db_int(result, row, TAKEN_N) - 1];
        if (db_is_null(result, row, TAKEN_ID))
            c->outcome = ORDER_REFERENCE_TAKEN;
        else
            read_taken(result, row, c);
    }
    db_result_free(result);
    db_params_free(&p);
    return status;
}
