/* The SQL of erasing a customer.
 *
 * Orders are locked as everybody locks them. What belongs to them is locked with NOWAIT: relays, senders and makers of orders
 * hold such rows for moments, some in another order than ours, and must never wait for us while we wait for them. */
#include "erasure_store.h"

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/trace.h"
#include "common/db/identity.h"
#include "order_json.h"
#include "order_receipts.h"
#include "order_store.h"

#include <string.h>

/* clang-format off */
static const struct db_query client_query = {
    "erasure_client",
    "SELECT client_id FROM orders WHERE customer_id = $1 AND ($2::text IS NULL OR client_id = $2)"
    " ORDER BY client_id LIMIT 1"};

static const struct db_query pick_query = {
    "erasure_pick", "SELECT id FROM orders WHERE customer_id = $1 AND client_id = $2 ORDER BY id LIMIT $3"};

/* The columns of order_erase_customer. */
static const struct db_query replace_query = {
    "erasure_replace",
    "UPDATE orders o"
    "   SET customer_id = $1, version = t.version, updated_at = t.updated_at,"
    "       cancellation_reason = NULL,"
    "       reference = NULL,"
    "       metadata = NULL"
    "  FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) AS t(id, version, updated_at)"
    " WHERE o.id = t.id"};

/* jsonb has characters as they are, and SQS refuses these two. */
static const struct db_query outbox_query = {
    "erasure_outbox",
    "WITH locked AS ("
    "  SELECT id FROM order_outbox WHERE group_id = ANY ($1) ORDER BY id FOR NO KEY UPDATE NOWAIT"
    ")"
    " UPDATE order_outbox w"
    "    SET payload = replace(replace(jsonb_set(w.payload::jsonb, '{customerId}', to_jsonb($2::text), false)::text,"
    "                                  chr(65534), '\\ufffe'), chr(65535), '\\uffff')"
    "   FROM locked"
    "  WHERE w.id = locked.id"};

/* The fingerprint of a key would confirm a guess of who it was. So it becomes random: a request that comes again is then
 * another payload of its key, and makes no second order. A key that is itself a fingerprint, or names the customer, becomes the
 * hash by which Redis may have its receipt, until that is cleaned. */
static const struct db_query keys_query = {
    "erasure_keys",
    "WITH locked AS ("
    "  SELECT client_id, key, key LIKE 'f:%' OR position($2 IN key) > 0 AS tells"
    "    FROM idempotency_keys"
    "   WHERE order_id = ANY ($1)"
    "     FOR UPDATE NOWAIT"
    ")"
    " UPDATE idempotency_keys k"
    "    SET fingerprint = decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),"
    "        key = CASE WHEN NOT locked.tells THEN k.key"
    "                   ELSE '" ORDER_RECEIPT_HASHED "' || encode(sha256(decode($3, 'hex') || convert_to(k.client_id, 'UTF8') ||"
    "                                             '\\x00'::bytea || convert_to(k.key, 'UTF8')), 'hex') END"
    "   FROM locked"
    "  WHERE k.client_id = locked.client_id AND k.key = locked.key"
    " RETURNING k.client_id, k.key"};

static const struct db_query forget_query = {
    "erasure_forget",
    "DELETE FROM idempotency_keys WHERE order_id = ANY ($1) AND key LIKE '" ORDER_RECEIPT_HASHED "%'"};

/* Whoever makes deliveries holds this row from before it reads the orders until it has committed. */
static const struct db_query feed_query = {
    "erasure_feed", "SELECT epoch FROM webhook_feed FOR NO KEY UPDATE"};

/* The receiver may have answered with what it was sent. Of an attempt that is under way the result is not wanted any more: it
 * is made again, with the new text, when its lease has ended. */
static const struct db_query deliveries_query = {
    "erasure_deliveries",
    "WITH locked AS ("
    "  SELECT id FROM webhook_deliveries WHERE order_id = ANY ($1) ORDER BY id FOR NO KEY UPDATE NOWAIT"
    ")"
    " UPDATE webhook_deliveries d"
    "    SET body = jsonb_set(jsonb_set(d.body::jsonb, '{customer_id}', to_jsonb($2::text), false)"
    "                         #- '{data,reference}', '{data,reason}', 'null', false)::text,"
    "        last_answer = NULL,"
    "        attempts = d.attempts + CASE WHEN d.lease_until IS NULL THEN 0 ELSE 1 END"
    "   FROM locked"
    "  WHERE d.id = locked.id"};

static const struct db_query tell_query = {"erasure_tell", OUTBOX_INSERT_ROWS("order_outbox")};

static const struct db_query count_query = {
    "erasure_count",
    "INSERT INTO erasures AS e (replacement, client_id, actor, orders) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (replacement) DO UPDATE"
    "   SET orders = e.orders + excluded.orders, erased_at = now(), finished_at = NULL,"
    "       quiet_since = now(), told_to = NULL"};

static const struct db_query finish_query = {
    "erasure_finish", "UPDATE erasures SET finished_at = now() WHERE replacement = $1 AND finished_at IS NULL"};

static const struct db_query unfinished_query = {
    "erasure_unfinished",
    "SELECT replacement, client_id FROM erasures WHERE finished_at IS NULL AND replacement > $1"
    " ORDER BY replacement LIMIT 1"};

static const struct db_query erased_query = {
    "erasure_erased",
    "SELECT id FROM orders WHERE customer_id = $1 AND client_id = $2 AND id > $3 ORDER BY id LIMIT $4"};

static const struct db_query erased_keys_query = {
    "erasure_erased_keys", "SELECT client_id, key FROM idempotency_keys WHERE order_id = ANY ($1)"};
/* clang-format on */

/* Reads one text into arena; NULL when there is no row. */
static enum db_status erasure_read_text(struct db *db, const struct db_query *query, struct db_params *p,
                                        struct arena *arena, const char **out) {
    struct db_result *result = NULL;
    enum db_status status = db_run(db, query, p, &result);
    *out = db_rows(result) ? arena_strdup(arena, db_text(result, 0, 0)) : NULL;
    if (status == DB_OK && db_rows(result) && !*out)
        status = DB_NO_MEMORY;
    db_result_free(result);
    db_params_free(p);
    return status;
}

enum db_status erasure_store_client(struct db *db, const char *customer_id, const char *client_id,
                                    struct arena *arena, const char **found) {
    struct db_params p = {0};
    db_text_param(&p, customer_id);
    db_text_param(&p, client_id);
    return erasure_read_text(db, &client_query, &p, arena, found);
}

/* Reads ids into arena. */
static enum db_status erasure_read_ids(struct db *db, const struct db_query *query, struct db_params *p,
                                       struct arena *arena, struct uuid **ids, size_t *count) {
    struct db_result *result = NULL;
    db_int_param(p, ERASURE_BATCH);
    enum db_status status = db_run(db, query, p, &result);
    *count = db_rows(result);
    *ids = arena_array(arena, *count + 1, sizeof **ids);
    for (size_t i = 0; *ids && i < *count; i++)
        (*ids)[i] = db_uuid(result, i, 0);
    db_result_free(result);
    db_params_free(p);
    return status == DB_OK && !*ids ? DB_NO_MEMORY : status;
}

struct erasing {
    const struct erasure *erasure;
    struct arena *arena;
    struct erasure_batch *batch;
};

/* Opens the parameter that all statements about what belongs to the orders begin with. */
static void orders_param(struct db_params *p, const struct erasure_batch *batch) {
    int id = db_array(p, DB_UUID);
    for (size_t i = 0; i < batch->count; i++)
        db_add_uuid(p, id, &batch->orders[i].id);
}

static enum db_status lock_orders(struct db *db, const struct erasing *e) {
    struct erasure_batch *batch = e->batch;
    struct db_params p = {0};
    struct uuid *ids;
    struct order *orders;
    size_t count;
    db_text_param(&p, e->erasure->customer_id);
    db_text_param(&p, e->erasure->client_id);
    enum db_status status = erasure_read_ids(db, &pick_query, &p, e->arena, &ids, &batch->seen);
    if (status != DB_OK || batch->seen == 0)
        return status;
    status = order_store_lock(db, ids, batch->seen, e->arena, &orders, &count);
    if (status != DB_OK)
        return status;
    batch->orders = orders;
    for (size_t i = 0; i < count; i++) /* another run may have been faster */
        if (strcmp(orders[i].customer_id, e->erasure->customer_id) == 0)
            orders[batch->count++] = orders[i];
    return DB_OK;
}

static enum db_status replace_customer(struct db *db, const struct erasing *e) {
    struct db_params p = {0};
    int64_t now_ms = clock_epoch_ms();
    db_text_param(&p, e->erasure->replacement);
    orders_param(&p, e->batch);
    int version = db_array(&p, DB_INT), updated = db_array(&p, DB_TIME);
    for (size_t i = 0; i < e->batch->count; i++) {
        order_erase_customer(&e->batch->orders[i], e->erasure->replacement, now_ms);
        db_add_int(&p, version, e->batch->orders[i].version);
        db_add_time(&p, updated, e->batch->orders[i].updated_ms);
    }
    enum db_status status = db_run(db, &replace_query, &p, NULL);
    db_params_free(&p);
    return status;
}

/* Runs a statement about what belongs to the orders. more: a second and a third parameter, if it has them. */
static enum db_status run_with(struct db *db, const struct db_query *query, const struct erasing *e,
                               const char *const more[static 2], struct db_result **result) {
    struct db_params p = {0};
    orders_param(&p, e->batch);
    for (int i = 0; i < 2 && more[i]; i++)
        db_text_param(&p, more[i]);
    enum db_status status = db_run(db, query, &p, result);
    db_params_free(&p);
    return status;
}

static enum db_status read_keys(struct db *db, const struct db_query *query, const struct erasing *e,
                                const char *const more[static 2]) {
    struct db_result *result = NULL;
    struct erasure_batch *batch = e->batch;
    enum db_status status = run_with(db, query, e, more, &result);
    size_t n = db_rows(result);
    batch->keys = arena_array(e->arena, n + 1, sizeof *batch->keys);
    for (size_t i = 0; batch->keys && i < n; i++)
        batch->keys[batch->key_count++] = (struct erasure_idempotency_key){
            arena_strdup(e->arena, db_text(result, i, 0)), arena_strdup(e->arena, db_text(result, i, 1))};
    db_result_free(result);
    return status == DB_OK && e->arena->failed ? DB_NO_MEMORY : status;
}

void erasure_add_event(struct outbox_rows *rows, struct buf *payload, const struct order *order,
                       const char *traceparent) {
    struct uuid event_id = uuid_new();
    char id[UUID_TEXT_SIZE];
    uuid_format(&order->id, id);
    buf_clear(payload);
    order_erased_json(payload, order, &event_id);
    outbox_rows_add(rows, &event_id, &order->id, payload, id, traceparent);
}

static enum db_status tell_delivery(struct db *db, const struct erasing *e) {
    struct outbox_rows rows;
    struct buf payload = {0};
    outbox_rows_open(&rows);
    for (size_t i = 0; i < e->batch->count; i++) {
        char traceparent[TRACEPARENT_SIZE];
        trace_adopt(NULL, traceparent);
        erasure_add_event(&rows, &payload, &e->batch->orders[i], traceparent);
    }
    buf_free(&payload);
    return outbox_rows_insert(&rows, db, &tell_query);
}

static enum db_status count_erased(struct db *db, const struct erasing *e) {
    struct db_params p = {0};
    db_text_param(&p, e->erasure->replacement);
    db_text_param(&p, e->erasure->client_id);
    db_text_param(&p, e->erasure->actor);
    db_int_param(&p, (int64_t)e->batch->count);
    enum db_status status = db_run(db, &count_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status replace_batch(struct db *db, void *arg) {
    const struct erasing *e = arg;
    const char *const replacement[2] = {e->erasure->replacement};
    uint8_t identity[DB_IDENTITY_SIZE] = {0}; /* when nobody knows it, Redis has no receipt */
    char identity_hex[2 * DB_IDENTITY_SIZE + 1];
    enum db_status status = lock_orders(db, e);
    if (status != DB_OK || e->batch->count == 0)
        return status;
    (void)!db_identity_of(db, identity);
    hex_encode(identity, sizeof identity, identity_hex);
    const char *const keys[2] = {e->erasure->customer_id, identity_hex};
    status = replace_customer(db, e);
    if (status == DB_OK)
        status = run_with(db, &outbox_query, e, replacement, NULL);
    if (status == DB_OK)
        status = read_keys(db, &keys_query, e, keys);
    if (status == DB_OK)
        status = db_run(db, &feed_query, NULL, NULL);
    if (status == DB_OK)
        status = run_with(db, &deliveries_query, e, replacement, NULL);
    if (status == DB_OK)
        status = tell_delivery(db, e);
    return status == DB_OK ? count_erased(db, e) : status;
}

enum db_status erasure_store_replace(struct db *db, const struct erasure *erasure, struct arena *arena,
                                     struct erasure_batch *batch) {
    struct erasing e = {erasure, arena, batch};
    *batch = (struct erasure_batch){0};
    return db_transaction(db, replace_batch, &e);
}

enum db_status erasure_store_forget(struct db *db, struct erasure_batch *batch) {
    static const char *const no_more[2];
    const struct erasing e = {.batch = batch};
    return run_with(db, &forget_query, &e, no_more, NULL);
}

enum db_status erasure_store_finish(struct db *db, const char *replacement) {
    struct db_params p = {0};
    db_text_param(&p, replacement);
    enum db_status status = db_run(db, &finish_query, &p, NULL);
    db_params_free(&p);
    return status;
}

enum db_status erasure_store_unfinished(struct db *db, const char *behind, struct arena *arena,
                                        struct erasure *erasure) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    *erasure = (struct erasure){0};
    db_text_param(&p, behind);
    enum db_status status = db_run(db, &unfinished_query, &p, &result);
    if (db_rows(result)) {
        erasure->replacement = arena_strdup(arena, db_text(result, 0, 0));
        erasure->client_id = arena_strdup(arena, db_text(result, 0, 1));
    }
    db_result_free(result);
    db_params_free(&p);
    return arena->failed ? DB_NO_MEMORY : status;
}

enum db_status erasure_store_erased(struct db *db, const struct erasure *erasure, const struct uuid *behind,
                                    struct arena *arena, struct erasure_batch *batch) {
    static const char *const no_more[2];
    const struct erasing e = {NULL, arena, batch};
    struct db_params p = {0};
    struct uuid *ids;
    *batch = (struct erasure_batch){0};
    db_text_param(&p, erasure->replacement);
    db_text_param(&p, erasure->client_id);
    db_uuid_param(&p, behind);
    enum db_status status = erasure_read_ids(db, &erased_query, &p, arena, &ids, &batch->seen);
    if (status != DB_OK || batch->seen == 0)
        return status;
    struct order_wanted *wanted = arena_array(arena, batch->seen, sizeof *wanted);
    batch->orders = arena_array(arena, batch->seen, sizeof *batch->orders);
    if (!wanted || !batch->orders)
        return DB_NO_MEMORY;
    for (size_t i = 0; i < batch->seen; i++)
        wanted[i] = (struct order_wanted){.id = ids[i]};
    status = order_store_find(db, wanted, batch->seen, arena);
    for (size_t i = 0; status == DB_OK && i < batch->seen; i++)
        if (wanted[i].order)
            batch->orders[batch->count++] = *wanted[i].order;
    return status == DB_OK ? read_keys(db, &erased_keys_query, &e, no_more) : status;
}
