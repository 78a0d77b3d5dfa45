/* The SQL of making deliveries, and of cleaning up behind them. */
#include "webhook_feed_store.h"

#include "common/base/clock.h"

enum { PAGE = 1000, SWEEP_MS = 60000 /* until the walk begins again */ };

/* clang-format off */
#define POSITION                                                                                             \
    "SELECT epoch, xid, n, EXISTS (SELECT FROM webhooks WHERE deleted_at IS NULL) FROM webhook_feed"
static const struct db_query look_query = {"webhook_feed_look", POSITION};
static const struct db_query lock_query = {
    "webhook_feed_lock", POSITION " FOR NO KEY UPDATE SKIP LOCKED"};
static const struct db_query move_query = {
    "webhook_feed_move", "UPDATE webhook_feed SET epoch = $1, xid = $2, n = $3"};
static const struct db_query readers_query = {
    "webhook_readers",
    "SELECT id, client_id, events, from_epoch, from_xid FROM webhooks"
    " WHERE client_id = ANY ($1) AND deleted_at IS NULL ORDER BY id"};
static const struct db_query insert_query = {
    "webhook_insert",
    "INSERT INTO webhook_deliveries (id, webhook_id, order_id, event_id, type, body, next_at)"
    " SELECT g.id, g.webhook_id, g.order_id, g.event_id, g.type, g.body,"
    "        greatest(now(), (SELECT max(e.next_at) FROM webhook_deliveries e"
    "                          WHERE e.webhook_id = g.webhook_id AND e.order_id = g.order_id"
    "                            AND e.next_at IS NOT NULL))"
    "   FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY"
    "     AS g(id, webhook_id, order_id, event_id, type, body, place)"
    "  ORDER BY g.place"};
/* Ids begin with the time in which they were made. */
static const struct db_query expire_query = {
    "webhook_expire",
    "WITH gone AS ("
    "  DELETE FROM webhook_deliveries"
    "   WHERE id IN (SELECT id FROM webhook_deliveries"
    "                 WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)"
    "  RETURNING id, next_at"
    ")"
    " SELECT count(*), count(next_at), (SELECT id FROM gone ORDER BY id DESC LIMIT 1) FROM gone"};
static const struct db_query purge_query = {
    "webhook_purge",
    "WITH hook AS (SELECT w.id FROM webhooks w WHERE w.deleted_at IS NOT NULL"
    "                 AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id) LIMIT 1),"
    " gone AS ("
    "  DELETE FROM webhook_deliveries"
    "   WHERE id IN (SELECT d.id FROM webhook_deliveries d, hook WHERE d.webhook_id = hook.id"
    "                 LIMIT $1 FOR UPDATE OF d SKIP LOCKED)"
    "  RETURNING id"
    ")"
    " SELECT count(*) FROM gone"};
/* An hour later nobody still makes deliveries for a webhook that he found before. */
static const struct db_query forget_query = {
    "webhook_forget",
    "DELETE FROM webhooks w"
    " WHERE w.deleted_at < now() - interval '1 hour'"
    "   AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id)"};
static const struct db_query resume_query = {
    "webhook_resume",
    "WITH hook AS (SELECT id, resumed_at FROM webhooks"
    "               WHERE resumed_at IS NOT NULL ORDER BY resumed_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),"
    " due AS ("
    "  UPDATE webhook_deliveries"
    "     SET next_at = now(), failures = 0"
    "   WHERE id IN (SELECT d.id FROM webhook_deliveries d, hook"
    "                 WHERE d.webhook_id = hook.id AND d.next_at IS NOT NULL"
    "                   AND (d.next_at > now() OR d.failures > 0)"
    "                   AND (d.last_at IS NULL OR d.last_at < hook.resumed_at)"
    "                 LIMIT $1 FOR UPDATE OF d SKIP LOCKED)"
    "  RETURNING id"
    "), ended AS ("
    "  UPDATE webhooks w SET resumed_at = NULL FROM hook"
    "   WHERE w.id = hook.id AND (SELECT count(*) FROM due) < $1"
    ")"
    " SELECT count(*) FROM hook"};
/* clang-format on */

static enum db_status read_position(struct db *db, const struct db_query *query,
                                    struct event_position *position, bool *any, bool *ours) {
    struct db_result *rows = NULL;
    enum db_status status = db_run(db, query, NULL, &rows);
    *ours = db_rows(rows) > 0;
    if (*ours) {
        *position =
            (struct event_position){db_int(rows, 0, 0), db_int(rows, 0, 1), (int32_t)db_int(rows, 0, 2)};
        *any = db_bool(rows, 0, 3);
    }
    db_result_free(rows);
    return status;
}

enum db_status webhook_feed_store_look(struct db *db, struct event_position *position, bool *any) {
    bool found;
    enum db_status status = read_position(db, &look_query, position, any, &found);
    return status == DB_OK && !found ? DB_FAILED : status;
}

enum db_status webhook_feed_store_lock(struct db *db, struct event_position *position, bool *any,
                                       bool *ours) {
    return read_position(db, &lock_query, position, any, ours);
}

enum db_status webhook_feed_store_move(struct db *db, const struct event_position *position) {
    struct db_params p = {0};
    db_int_param(&p, position->epoch);
    db_int_param(&p, position->xid);
    db_int_param(&p, position->n);
    enum db_status status = db_run(db, &move_query, &p, NULL);
    db_params_free(&p);
    return status;
}

enum db_status webhook_feed_store_readers(struct db *db, const char *const client_ids[], size_t n,
                                          struct arena *arena, struct webhook_reader **readers,
                                          size_t *count) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    int clients = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++)
        db_add_text(&p, clients, client_ids[i]);
    enum db_status status = db_run(db, &readers_query, &p, &rows);
    db_params_free(&p);
    *count = db_rows(rows);
    *readers = arena_array(arena, *count + 1, sizeof **readers);
    for (size_t i = 0; *readers && i < *count; i++) {
        const char *events = db_text(rows, i, 2);
        (*readers)[i] = (struct webhook_reader){
            .id = db_uuid(rows, i, 0),
            .client_id = arena_strdup(arena, db_text(rows, i, 1)),
            .events = events ? arena_strdup(arena, events) : NULL,
            .from = {.epoch = db_int(rows, i, 3), .xid = db_int(rows, i, 4), .n = INT32_MAX}};
    }
    db_result_free(rows);
    return status == DB_OK && arena->failed ? DB_NO_MEMORY : status;
}

enum db_status webhook_feed_store_add(struct db *db, const struct webhook_fresh list[], size_t n) {
    struct db_params p = {0};
    int id = db_array(&p, DB_UUID), webhook = db_array(&p, DB_UUID), order = db_array(&p, DB_UUID);
    int event = db_array(&p, DB_TEXT), type = db_array(&p, DB_TEXT), body = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &list[i].id);
        db_add_uuid(&p, webhook, list[i].webhook_id);
        db_add_uuid(&p, order, list[i].order_id);
        db_add_text(&p, event, list[i].event_id);
        db_add_text(&p, type, list[i].type);
        db_add_text(&p, body, list[i].body);
    }
    enum db_status status = db_run(db, &insert_query, &p, NULL);
    db_params_free(&p);
    return status;
}

/* The lowest id that can be made at this time. */
static struct uuid first_id_of(int64_t epoch_ms) {
    struct uuid id = {0};
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)((uint64_t)epoch_ms >> (40 - 8 * i));
    return id;
}

enum db_status webhook_feed_store_expire(struct db *db, struct db_walk *walk, int64_t retention_ms,
                                         size_t *given_up, bool *more) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    struct uuid from = first_id_of(db_walk_from(walk, SWEEP_MS));
    struct uuid until = first_id_of(clock_epoch_ms() - retention_ms);
    db_uuid_param(&p, &from);
    db_uuid_param(&p, &until);
    db_int_param(&p, PAGE);
    enum db_status status = db_run(db, &expire_query, &p, &rows);
    db_params_free(&p);
    *more = false;
    *given_up = 0;
    if (status == DB_OK && db_int(rows, 0, 0) > 0) {
        struct uuid last = db_uuid(rows, 0, 2);
        *given_up = (size_t)db_int(rows, 0, 1);
        *more = db_int(rows, 0, 0) == PAGE;
        db_walk_to(walk, uuid_time_ms(&last));
    }
    db_result_free(rows);
    return status;
}

/* Runs a statement about one page, which returns how much it found. */
static enum db_status run_page(struct db *db, const struct db_query *query, int64_t *found) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    db_int_param(&p, PAGE);
    enum db_status status = db_run(db, query, &p, &rows);
    db_params_free(&p);
    *found = status == DB_OK ? db_int(rows, 0, 0) : 0;
    db_result_free(rows);
    return status;
}

enum db_status webhook_feed_store_purge(struct db *db, bool *more) {
    int64_t found;
    enum db_status status = run_page(db, &purge_query, &found);
    *more = found == PAGE;
    return status == DB_OK && !*more ? db_run(db, &forget_query, NULL, NULL) : status;
}

enum db_status webhook_feed_store_resume(struct db *db, bool *more) {
    int64_t found;
    enum db_status status = run_page(db, &resume_query, &found);
    *more = found > 0;
    return status;
}
