/* The SQL of webhooks, as their clients see them. */
#include "webhook_store.h"

#define EPOCH_MS(time) "(extract(epoch FROM " time ") * 1000)::bigint"
#define COLUMNS                                                                                              \
    "w.id, w.client_id, w.url, w.description, w.events, w.enabled, w.reason,"                                \
    " CASE WHEN w.old_secret_until > now() THEN " EPOCH_MS(                                                  \
        "w.old_secret_until") " END,"                                                                        \
                              " " EPOCH_MS("w.created_at") ", " EPOCH_MS("w.updated_at")
enum { ID, CLIENT, URL, DESCRIPTION, EVENTS, ENABLED, REASON, OLD_UNTIL, CREATED, UPDATED };

#define OF_CLIENT " w.id = $1 AND w.client_id = $2 AND w.deleted_at IS NULL"

/* clang-format off */
/* One after the other, so that a client cannot have more than it may by asking twice at once. */
static const struct db_query lock_query = {
    "webhook_lock", "SELECT pg_advisory_xact_lock(hashtextextended('webhooks of ' || $1, 0))"};
static const struct db_query add_query = {
    "webhook_add",
    "INSERT INTO webhooks AS w (id, client_id, url, description, events, enabled, secret, from_epoch, from_xid)"
    " SELECT $1, $2, $3, $4, $5, $6 <> 0, $7, order_event_epoch(), pg_current_xact_id()::text::bigint"
    "  WHERE (SELECT count(*) FROM webhooks WHERE client_id = $2 AND deleted_at IS NULL) < $8"
    " RETURNING " COLUMNS};
static const struct db_query get_query = {
    "webhook_get", "SELECT " COLUMNS " FROM webhooks w WHERE" OF_CLIENT};
static const struct db_query change_query = {
    "webhook_change",
    "UPDATE webhooks w"
    "   SET url = coalesce($3, w.url),"
    "       description = CASE WHEN $4 = 0 THEN w.description ELSE $5 END,"
    "       events = CASE WHEN $6 = 0 THEN w.events ELSE $7 END,"
    "       enabled = CASE WHEN $8 = 0 THEN w.enabled ELSE $9 <> 0 END,"
    "       reason = CASE WHEN $8 = 0 THEN w.reason END,"
    "       resumed_at = CASE WHEN $9 <> 0 AND NOT w.enabled THEN now() ELSE w.resumed_at END,"
    "       doubt = CASE WHEN $3 IS NULL AND $9 = 0 THEN w.doubt ELSE 1 END,"
    "       not_before = CASE WHEN $3 IS NULL AND $9 = 0 THEN w.not_before ELSE '-infinity' END,"
    "       updated_at = now()"
    " WHERE" OF_CLIENT
    " RETURNING " COLUMNS};
static const struct db_query rotate_query = {
    "webhook_rotate",
    "UPDATE webhooks w"
    "   SET old_secret = w.secret, old_secret_until = now() + $4 * interval '1 ms', secret = $3,"
    "       updated_at = now()"
    " WHERE" OF_CLIENT
    " RETURNING " COLUMNS};
/* The row goes later (webhook_keeper.c), its secrets go now. */
static const struct db_query delete_query = {
    "webhook_delete",
    "UPDATE webhooks w"
    "   SET deleted_at = now(), enabled = false, secret = '', old_secret = NULL, old_secret_until = NULL"
    " WHERE" OF_CLIENT
    " RETURNING w.id"};
static const struct db_query list_query = {
    "webhook_list",
    "SELECT " COLUMNS " FROM webhooks w"
    " WHERE w.client_id = $1 AND w.deleted_at IS NULL AND ($2::uuid IS NULL OR w.id < $2)"
    " ORDER BY w.id DESC LIMIT $3"};
static const struct db_query ping_query = {
    "webhook_ping",
    "WITH hook AS (SELECT w.id FROM webhooks w WHERE" OF_CLIENT "),"
    " waiting AS (SELECT d.id FROM webhook_deliveries d, hook h"
    "              WHERE d.webhook_id = h.id AND d.order_id IS NULL AND d.next_at IS NOT NULL LIMIT 1),"
    " fresh AS (INSERT INTO webhook_deliveries (id, webhook_id, type, body)"
    "           SELECT $3, h.id, '" WEBHOOK_PING "', $4 FROM hook h WHERE NOT EXISTS (SELECT FROM waiting)"
    "           RETURNING id)"
    " SELECT id FROM waiting UNION ALL SELECT id FROM fresh"};
static const struct db_query deliveries_query = {
    "webhook_deliveries",
    "SELECT d.id, d.order_id, d.event_id, d.type, d.attempts, " EPOCH_MS("d.created_at") ","
    "       " EPOCH_MS("d.next_at") ", " EPOCH_MS("d.delivered_at") ", " EPOCH_MS("d.last_at") ","
    "       d.last_status, d.last_error, d.last_answer"
    "  FROM webhook_deliveries d"
    " WHERE d.webhook_id = $1 AND ($2::uuid IS NULL OR d.id < $2)"
    " ORDER BY d.id DESC LIMIT $3"};
enum { D_ID, D_ORDER, D_EVENT, D_TYPE, D_ATTEMPTS, D_CREATED, D_NEXT, D_DELIVERED, D_LAST, D_STATUS, D_ERROR, D_ANSWER };
/* One that is being sent stays as it is. The receiver is asked at once, also when it was unwell. */
static const struct db_query retry_query = {
    "webhook_retry",
    "WITH hook AS (UPDATE webhooks w SET not_before = '-infinity' WHERE" OF_CLIENT " RETURNING w.id)"
    " UPDATE webhook_deliveries d"
    "    SET next_at = now(), failures = CASE WHEN d.next_at IS NULL THEN 0 ELSE d.failures END"
    "   FROM hook h"
    "  WHERE d.id = $3 AND d.webhook_id = h.id"
    " RETURNING d.id"};
/* clang-format on */

/* A text in arena; NULL for SQL NULL. */
static const char *text_in(const struct db_result *rows, size_t row, int column, struct arena *arena) {
    const char *text = db_text(rows, row, column);
    return text ? arena_strdup(arena, text) : NULL;
}

static void read_webhook(const struct db_result *rows, size_t row, struct arena *arena, struct webhook *out) {
    *out = (struct webhook){.id = db_uuid(rows, row, ID),
                            .client_id = text_in(rows, row, CLIENT, arena),
                            .url = text_in(rows, row, URL, arena),
                            .description = text_in(rows, row, DESCRIPTION, arena),
                            .events = text_in(rows, row, EVENTS, arena),
                            .enabled = db_bool(rows, row, ENABLED),
                            .reason = text_in(rows, row, REASON, arena),
                            .old_secret_until_ms = db_int(rows, row, OLD_UNTIL),
                            .created_ms = db_int(rows, row, CREATED),
                            .updated_ms = db_int(rows, row, UPDATED)};
}

/* Runs a statement that returns one webhook, or none. Frees params. */
static enum db_status run_for_webhook(struct db *db, const struct db_query *query, struct db_params *params,
                                      struct arena *arena, struct webhook *webhook, bool *done) {
    struct db_result *rows = NULL;
    enum db_status status = db_run(db, query, params, &rows);
    db_params_free(params);
    *done = db_rows(rows) > 0;
    if (*done)
        read_webhook(rows, 0, arena, webhook);
    db_result_free(rows);
    return status == DB_OK && arena->failed ? DB_NO_MEMORY : status;
}

/* Opens the parameters of OF_CLIENT. */
static struct db_params of_client(const struct uuid *id, const char *client_id) {
    struct db_params p = {0};
    db_uuid_param(&p, id);
    db_text_param(&p, client_id);
    return p;
}

struct addition {
    const struct uuid *id;
    const char *client_id, *sealed;
    const struct webhook_input *input;
    struct arena *arena;
    struct webhook *webhook;
    bool *done;
};

static enum db_status add_webhook(struct db *db, void *arg) {
    const struct addition *a = arg;
    struct db_params p = {0};
    db_text_param(&p, a->client_id);
    enum db_status status = db_run(db, &lock_query, &p, NULL);
    db_params_free(&p);
    if (status != DB_OK)
        return status;
    p = of_client(a->id, a->client_id);
    db_text_param(&p, a->input->url);
    db_text_param(&p, a->input->description);
    db_text_param(&p, a->input->events);
    db_int_param(&p, a->input->enabled);
    db_text_param(&p, a->sealed);
    db_int_param(&p, WEBHOOK_MAX_OF_CLIENT);
    return run_for_webhook(db, &add_query, &p, a->arena, a->webhook, a->done);
}

enum db_status webhook_store_add(struct db *db, const struct uuid *id, const char *client_id,
                                 const struct webhook_input *input, const char *sealed, struct arena *arena,
                                 struct webhook *webhook, bool *done) {
    struct addition a = {id, client_id, sealed, input, arena, webhook, done};
    return db_transaction(db, add_webhook, &a);
}

enum db_status webhook_store_get(struct db *db, const struct uuid *id, const char *client_id,
                                 struct arena *arena, struct webhook *webhook, bool *done) {
    struct db_params p = of_client(id, client_id);
    return run_for_webhook(db, &get_query, &p, arena, webhook, done);
}

enum db_status webhook_store_change(struct db *db, const struct uuid *id, const char *client_id,
                                    const struct webhook_input *input, struct arena *arena,
                                    struct webhook *webhook, bool *done) {
    struct db_params p = of_client(id, client_id);
    db_text_param(&p, input->url);
    db_int_param(&p, input->has_description);
    db_text_param(&p, input->description);
    db_int_param(&p, input->has_events);
    db_text_param(&p, input->events);
    db_int_param(&p, input->has_enabled);
    db_int_param(&p, input->has_enabled && input->enabled);
    return run_for_webhook(db, &change_query, &p, arena, webhook, done);
}

enum db_status webhook_store_rotate(struct db *db, const struct uuid *id, const char *client_id,
                                    const char *sealed, struct arena *arena, struct webhook *webhook,
                                    bool *done) {
    struct db_params p = of_client(id, client_id);
    db_text_param(&p, sealed);
    db_int_param(&p, WEBHOOK_OLD_SECRET_MS);
    return run_for_webhook(db, &rotate_query, &p, arena, webhook, done);
}

/* Runs a statement that returns the id of what it changed or found. Frees params. */
static enum db_status run_for_id(struct db *db, const struct db_query *query, struct db_params *params,
                                 struct uuid *id, bool *done) {
    struct db_result *rows = NULL;
    enum db_status status = db_run(db, query, params, &rows);
    db_params_free(params);
    *done = db_rows(rows) > 0;
    if (*done)
        *id = db_uuid(rows, 0, 0);
    db_result_free(rows);
    return status;
}

enum db_status webhook_store_delete(struct db *db, const struct uuid *id, const char *client_id, bool *done) {
    struct db_params p = of_client(id, client_id);
    struct uuid same;
    return run_for_id(db, &delete_query, &p, &same, done);
}

enum db_status webhook_store_ping(struct db *db, const struct uuid *id, const char *client_id,
                                  struct uuid *delivery_id, const char *body, bool *done) {
    struct db_params p = of_client(id, client_id);
    db_uuid_param(&p, delivery_id);
    db_text_param(&p, body);
    return run_for_id(db, &ping_query, &p, delivery_id, done);
}

enum db_status webhook_store_retry(struct db *db, const struct uuid *id, const char *client_id,
                                   const struct uuid *delivery_id, bool *done) {
    struct db_params p = of_client(id, client_id);
    struct uuid same;
    db_uuid_param(&p, delivery_id);
    return run_for_id(db, &retry_query, &p, &same, done);
}

enum db_status webhook_store_list(struct db *db, const char *client_id, const struct uuid *before,
                                  size_t limit, struct arena *arena, struct webhook **webhooks,
                                  size_t *count) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    db_text_param(&p, client_id);
    db_uuid_param(&p, before);
    db_int_param(&p, (int64_t)limit);
    enum db_status status = db_run(db, &list_query, &p, &rows);
    db_params_free(&p);
    *count = db_rows(rows);
    *webhooks = arena_array(arena, *count + 1, sizeof **webhooks);
    for (size_t i = 0; *webhooks && i < *count; i++)
        read_webhook(rows, i, arena, &(*webhooks)[i]);
    db_result_free(rows);
    return status == DB_OK && arena->failed ? DB_NO_MEMORY : status;
}

static void read_delivery(const struct db_result *rows, size_t row, struct arena *arena,
                          struct webhook_delivery *out) {
    *out = (struct webhook_delivery){.id = db_uuid(rows, row, D_ID),
                                     .order_id = db_uuid(rows, row, D_ORDER),
                                     .event_id = text_in(rows, row, D_EVENT, arena),
                                     .type = text_in(rows, row, D_TYPE, arena),
                                     .attempts = db_int(rows, row, D_ATTEMPTS),
                                     .created_ms = db_int(rows, row, D_CREATED),
                                     .next_ms = db_int(rows, row, D_NEXT),
                                     .delivered_ms = db_int(rows, row, D_DELIVERED),
                                     .last_ms = db_int(rows, row, D_LAST),
                                     .last_status = db_int(rows, row, D_STATUS),
                                     .last_error = text_in(rows, row, D_ERROR, arena),
                                     .last_answer = text_in(rows, row, D_ANSWER, arena)};
}

enum db_status webhook_store_deliveries(struct db *db, const struct uuid *id, const struct uuid *before,
                                        size_t limit, struct arena *arena,
                                        struct webhook_delivery **deliveries, size_t *count) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    db_uuid_param(&p, id);
    db_uuid_param(&p, before);
    db_int_param(&p, (int64_t)limit);
    enum db_status status = db_run(db, &deliveries_query, &p, &rows);
    db_params_free(&p);
    *count = db_rows(rows);
    *deliveries = arena_array(arena, *count + 1, sizeof **deliveries);
    for (size_t i = 0; *deliveries && i < *count; i++)
        read_delivery(rows, i, arena, &(*deliveries)[i]);
    db_result_free(rows);
    return status == DB_OK && arena->failed ? DB_NO_MEMORY : status;
}
