/* The SQL of taking shipments out of the database. */
#include "archive_store.h"

#include "common/base/json_write.h"
#include "event_store.h"
#include "shipment_json.h"
#include "shipment_store.h"

/* The ids of orders tell their time. */
static const struct db_query pick_query = {
    "shipment_archive_pick", "SELECT order_id FROM shipments"
                             " WHERE order_id > $1 AND order_id < $2 AND status IN ('DELIVERED', 'CANCELLED')"
                             "   AND updated_at < $3"
                             " ORDER BY order_id LIMIT $4"};

/* In the order of the ids, as everybody locks shipments. One that has changed meanwhile stays. */
static const struct db_query lock_query = {
    "shipment_archive_lock",
    "SELECT order_id FROM shipments"
    " WHERE order_id = ANY ($1) AND status IN ('DELIVERED', 'CANCELLED') AND updated_at < $2"
    " ORDER BY id FOR UPDATE"};

static const struct db_query delete_query = {
    "shipment_archive_delete", "WITH trail AS (DELETE FROM delivery_events WHERE order_id = ANY ($1))"
                               " DELETE FROM shipments WHERE order_id = ANY ($1)"};

static enum db_status lock_shipments(struct db *db, const struct archive *archive, struct uuid ids[],
                                     size_t *n) {
    struct db_params p = {0};
    struct db_result *locked = NULL;
    int wanted = db_array(&p, DB_UUID);
    for (size_t i = 0; i < *n; i++)
        db_add_uuid(&p, wanted, &ids[i]);
    db_time_param(&p, archive->before_ms);
    enum db_status status = db_run(db, &lock_query, &p, &locked);
    if (status == DB_OK)
        *n = db_rows(locked);
    for (size_t i = 0; status == DB_OK && i < *n; i++)
        ids[i] = db_uuid(locked, i, 0);
    db_result_free(locked);
    db_params_free(&p);
    return status;
}

static void shipment_line(struct buf *lines, const struct shipment *shipment,
                          const struct event_rows *trails) {
    size_t count;
    const struct shipment_event *events = event_rows_find(trails, &shipment->order_id, &count);
    buf_str(lines, "{\"client_id\":");
    if (shipment->client_id)
        json_append_text(lines, shipment->client_id);
    else
        buf_str(lines, "null");
    buf_str(lines, ",\"shipment\":");
    shipment_view_json(lines, shipment);
    if (events) {
        buf_str(lines, ",\"events\":");
        shipment_events_json(lines, events, count);
    }
    buf_str(lines, "}\n");
}

static enum db_status write_shipments(struct db *db, const struct archive *archive,
                                      const struct uuid *const ids[], size_t n) {
    struct shipment_rows shipments = {0};
    struct event_rows trails = {0};
    struct buf lines = {0};
    enum db_status status = shipment_store_find(db, ids, n, &shipments);
    if (status == DB_OK)
        status = event_store_find(db, ids, n, &trails);
    for (size_t i = 0; status == DB_OK && i < shipments.count; i++)
        shipment_line(&lines, &shipments.list[i], &trails);
    if (status == DB_OK && !archive_write(archive, &lines))
        status = DB_FAILED;
    buf_free(&lines);
    event_rows_free(&trails);
    shipment_rows_free(&shipments);
    return status;
}

static enum db_status delete_shipments(struct db *db, const struct uuid ids[], size_t n) {
    struct db_params p = {0};
    int gone = db_array(&p, DB_UUID);
    for (size_t i = 0; i < n; i++)
        db_add_uuid(&p, gone, &ids[i]);
    enum db_status status = db_run(db, &delete_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status shipment_archive_step(struct db *db, struct archive *archive, size_t *taken) {
    struct uuid ids[ARCHIVE_BATCH];
    const struct uuid *wanted[ARCHIVE_BATCH];
    size_t n;
    enum db_status status = archive_pick(db, "shipments", &pick_query, archive, ids, &n);
    if (status == DB_OK && n)
        status = lock_shipments(db, archive, ids, &n);
    for (size_t i = 0; i < n; i++)
        wanted[i] = &ids[i];
    if (status == DB_OK && n && archive->file)
        status = write_shipments(db, archive, wanted, n);
    if (status == DB_OK && n)
        status = delete_shipments(db, ids, n);
    *taken = n;
    return status;
}

const struct archive_kind shipment_archive = {"delivery-svc archive", "shipment(s)", shipment_archive_step};
