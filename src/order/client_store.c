/* The SQL of the table of OAuth clients. */
#include "client_store.h"

#include <stdio.h>

/* clang-format off */
static const struct db_query list_query = {
    "client_list",
    "SELECT client_id, scope, encode(secret_hash, 'hex'), disabled,"
    "       CASE WHEN old_secret_until > now() THEN encode(old_secret_hash, 'hex') END,"
    "       (extract(epoch FROM issued_before) * 1000)::bigint"
    "  FROM clients LEFT JOIN revoked_clients USING (client_id)"
    " ORDER BY client_id COLLATE \"C\""};
enum { CLIENT_ID, SCOPE, SECRET_HASH, DISABLED, OLD_SECRET_HASH, ISSUED_BEFORE };

static const struct db_query add_query = {
    "client_add",
    "INSERT INTO clients (client_id, scope, secret_hash)"
    " VALUES ($1, $2, decode($3, 'hex'))"
    " ON CONFLICT (client_id) DO NOTHING"
    " RETURNING client_id"};

static const struct db_query rotate_query = {
    "client_rotate",
    "UPDATE clients"
    "   SET old_secret_hash = secret_hash, old_secret_until = now() + $3 * interval '1 ms',"
    "       secret_hash = decode($2, 'hex'), updated_at = now()"
    " WHERE client_id = $1"
    " RETURNING client_id"};

static const struct db_query retire_query = {
    "client_retire",
    "UPDATE clients"
    "   SET old_secret_hash = NULL, old_secret_until = NULL, updated_at = now()"
    " WHERE client_id = $1"
    " RETURNING client_id"};

static const struct db_query disable_query = {
    "client_disable",
    "UPDATE clients"
    "   SET disabled = $2 <> 0, updated_at = now()"
    " WHERE client_id = $1"
    " RETURNING client_id"};

/* Whoever gets this id later must not be told of the orders of this client, nor have its webhooks. */
static const struct db_query delete_query = {
    "client_delete",
    "WITH told AS ("
    "  UPDATE webhooks"
    "     SET deleted_at = now(), enabled = false, secret = '', old_secret = NULL, old_secret_until = NULL"
    "   WHERE client_id = $1 AND deleted_at IS NULL"
    ")"
    " DELETE FROM clients WHERE client_id = $1 RETURNING client_id"};

static const struct db_query scope_query = {
    "client_scope",
    "WITH old AS (SELECT client_id, scope FROM clients WHERE client_id = $1 FOR UPDATE)"
    " UPDATE clients c"
    "    SET scope = $2, updated_at = now()"
    "   FROM old"
    "  WHERE c.client_id = old.client_id"
    " RETURNING old.scope"};
/* clang-format on */

static bool read_client(const struct db_result *rows, size_t row, struct arena *arena, struct client *out) {
    out->id = arena_strdup(arena, db_text(rows, row, CLIENT_ID));
    out->scope = arena_strdup(arena, db_text(rows, row, SCOPE));
    snprintf(out->secret_hash, sizeof out->secret_hash, "%s", db_text(rows, row, SECRET_HASH));
    snprintf(out->old_secret_hash, sizeof out->old_secret_hash, "%s",
             db_is_null(rows, row, OLD_SECRET_HASH) ? "" : db_text(rows, row, OLD_SECRET_HASH));
    out->disabled = db_bool(rows, row, DISABLED);
    out->from_ms = db_int(rows, row, ISSUED_BEFORE);
    return out->id && out->scope;
}

enum db_status client_store_list(struct db *db, struct arena *arena, struct client **clients, size_t *count) {
    struct db_result *rows;
    enum db_status status = db_run(db, &list_query, NULL, &rows);
    if (status != DB_OK)
        return status;
    *count = db_rows(rows);
    *clients = arena_array(arena, *count, sizeof **clients);
    bool ok = *clients != NULL;
    for (size_t i = 0; ok && i < *count; i++)
        ok = read_client(rows, i, arena, &(*clients)[i]);
    db_result_free(rows);
    return ok ? DB_OK : DB_NO_MEMORY;
}

/* Runs a statement that returns a row when it changes something. Then *done is true. */
static enum db_status change_client(struct db *db, const struct db_query *query, struct db_params *params,
                                    bool *done) {
    struct db_result *rows;
    enum db_status status = db_run(db, query, params, &rows);
    db_params_free(params);
    if (status != DB_OK)
        return status;
    *done = db_rows(rows) > 0;
    db_result_free(rows);
    return DB_OK;
}

enum db_status client_store_add(struct db *db, const struct client *client, bool *done) {
    struct db_params params = {0};
    db_text_param(&params, client->id);
    db_text_param(&params, client->scope);
    db_text_param(&params, client->secret_hash);
    return change_client(db, &add_query, &params, done);
}

enum db_status client_store_rotate(struct db *db, const char *id, const char *secret_hash, int64_t grace_ms,
                                   bool *done) {
    struct db_params params = {0};
    db_text_param(&params, id);
    db_text_param(&params, secret_hash);
    db_int_param(&params, grace_ms);
    return change_client(db, &rotate_query, &params, done);
}

static enum db_status change_client_alone(struct db *db, const struct db_query *query, const char *id,
                                          bool *done) {
    struct db_params params = {0};
    db_text_param(&params, id);
    return change_client(db, query, &params, done);
}

enum db_status client_store_retire(struct db *db, const char *id, bool *done) {
    return change_client_alone(db, &retire_query, id, done);
}

enum db_status client_store_delete(struct db *db, const char *id, bool *done) {
    return change_client_alone(db, &delete_query, id, done);
}

enum db_status client_store_disable(struct db *db, const char *id, bool disabled, bool *done) {
    struct db_params params = {0};
    db_text_param(&params, id);
    db_int_param(&params, disabled);
    return change_client(db, &disable_query, &params, done);
}

enum db_status client_store_scope(struct db *db, const char *id, const char *scope,
                                  char old_scope[static TOKEN_SCOPE_SIZE], bool *done) {
    struct db_params params = {0};
    struct db_result *rows;
    db_text_param(&params, id);
    db_text_param(&params, scope);
    enum db_status status = db_run(db, &scope_query, &params, &rows);
    db_params_free(&params);
    if (status != DB_OK)
        return status;
    *done = db_rows(rows) > 0;
    snprintf(old_scope, TOKEN_SCOPE_SIZE, "%s", *done ? db_text(rows, 0, 0) : "");
    db_result_free(rows);
    return DB_OK;
}
