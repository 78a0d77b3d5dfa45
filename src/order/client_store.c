/* The SQL of the table of OAuth clients. */
#include "client_store.h"

#include <stdio.h>

static const struct db_query list_query = {"client_list",
                                           "SELECT client_id, scope, encode(secret_hash, 'hex'), disabled"
                                           "  FROM clients"
                                           " ORDER BY client_id COLLATE \"C\""};
enum { CLIENT_ID, SCOPE, SECRET_HASH, DISABLED };

static const struct db_query add_query = {"client_add", "INSERT INTO clients (client_id, scope, secret_hash)"
                                                        " VALUES ($1, $2, decode($3, 'hex'))"
                                                        " ON CONFLICT (client_id) DO NOTHING"
                                                        " RETURNING client_id"};

static const struct db_query rotate_query = {"client_rotate",
                                             "UPDATE clients"
                                             "   SET secret_hash = decode($2, 'hex'), updated_at = now()"
                                             " WHERE client_id = $1"
                                             " RETURNING client_id"};

static const struct db_query disable_query = {"client_disable", "UPDATE clients"
                                                                "   SET disabled = true, updated_at = now()"
                                                                " WHERE client_id = $1"
                                                                " RETURNING client_id"};

static bool read_client(const struct db_result *rows, size_t row, struct arena *arena, struct client *out) {
    out->id = arena_strdup(arena, db_text(rows, row, CLIENT_ID));
    out->scope = arena_strdup(arena, db_text(rows, row, SCOPE));
    snprintf(out->secret_hash, sizeof out->secret_hash, "%s", db_text(rows, row, SECRET_HASH));
    out->disabled = db_bool(rows, row, DISABLED);
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

enum db_status client_store_rotate(struct db *db, const char *id, const char *secret_hash, bool *done) {
    struct db_params params = {0};
    db_text_param(&params, id);
    db_text_param(&params, secret_hash);
    return change_client(db, &rotate_query, &params, done);
}

enum db_status client_store_disable(struct db *db, const char *id, bool *done) {
    struct db_params params = {0};
    db_text_param(&params, id);
    return change_client(db, &disable_query, &params, done);
}
