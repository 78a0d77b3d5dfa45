/* The SQL of taking orders out of the database. */
#include "archive_store.h"

#include "common/base/json_write.h"
#include "order_json.h"
#include "order_store.h"

static const struct db_query pick_query = {
    "order_archive_pick",
    "SELECT id FROM orders o"
    " WHERE id > $1 AND id < $2 AND status IN ('DELIVERED', 'CANCELLED') AND updated_at < $3"
    "   AND NOT EXISTS (SELECT FROM erasures e"
    "                    WHERE e.replacement = o.customer_id"
    "                      AND (e.finished_at IS NULL OR e.quiet_since < 'infinity'))"
    " ORDER BY id LIMIT $4"};

/* Keys of orders that are gone have expired, or are removed when they are used. */
static const struct db_query delete_query = {
    "order_archive_delete", "WITH items AS (DELETE FROM order_items WHERE order_id = ANY ($1))"
                            " DELETE FROM orders WHERE id = ANY ($1)"};

static void order_line(struct buf *lines, const struct order *order) {
    buf_str(lines, "{\"client_id\":");
    json_append_text(lines, order->client_id);
    buf_str(lines, ",\"order\":");
    order_view_json(lines, order);
    buf_str(lines, "}\n");
}

/* Writes and deletes the orders that are as they were when they were picked. */
static enum db_status take_out(struct db *db, struct archive *archive, const struct order orders[],
                               size_t count, size_t *taken) {
    struct db_params p = {0};
    struct buf lines = {0};
    int ids = db_array(&p, DB_UUID);
    for (size_t i = 0; i < count; i++) {
        if (!order_status_final(orders[i].status) || orders[i].updated_ms >= archive->before_ms)
            continue;
        if (archive->file)
            order_line(&lines, &orders[i]);
        db_add_uuid(&p, ids, &orders[i].id);
        ++*taken;
    }
    bool written = archive_write(archive, &lines);
    enum db_status status = written ? db_run(db, &delete_query, &p, NULL) : DB_FAILED;
    buf_free(&lines);
    db_params_free(&p);
    return status;
}

static enum db_status order_archive_step(struct db *db, struct archive *archive, size_t *taken) {
    struct uuid ids[ARCHIVE_BATCH];
    struct arena arena = {0};
    struct order *orders;
    size_t n, count;
    enum db_status status = archive_pick(db, "orders", &pick_query, archive, ids, &n);
    if (status == DB_OK && n)
        status = order_store_lock(db, ids, n, &arena, &orders, &count);
    if (status == DB_OK && n)
        status = take_out(db, archive, orders, count, taken);
    arena_free(&arena);
    return status;
}

const struct archive_kind order_archive = {"order-svc archive", "order(s)", order_archive_step};
