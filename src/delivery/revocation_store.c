/* The SQL of the revoked tokens. */
#include "revocation_store.h"

const struct db_query revocation_store_probe = {
    "revocation_probe", "SELECT pg_current_xact_id(), EXISTS (SELECT FROM delivery_revoked_clients)"};

/* clang-format off */
/* Inserts in the order of the ids, so that two transactions with the same tokens cannot deadlock. */
static const struct db_query keep_query = {
    "revocation_keep",
    "INSERT INTO delivery_revoked_tokens (token_id, expires_at, client_id, issued_at)"
    " SELECT token_id, expires_at, client_id, issued_at"
    "   FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[])"
    "     AS given(token_id, expires_at, client_id, issued_at)"
    "  ORDER BY token_id"
    " ON CONFLICT DO NOTHING"};

/* Of several times of a client the latest counts. */
static const struct db_query end_query = {
    "revocation_end",
    "WITH given AS ("
    "  SELECT client_id, max(issued_before) AS issued_before, max(expires_at) AS expires_at"
    "    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS g(client_id, issued_before, expires_at)"
    "   GROUP BY client_id"
    "), gone AS ("
    "  DELETE FROM delivery_revoked_tokens r"
    "   USING given g"
    "   WHERE r.client_id = g.client_id AND r.issued_at < g.issued_before"
    ")"
    " INSERT INTO delivery_revoked_clients AS c (client_id, issued_before, expires_at)"
    " SELECT client_id, issued_before, expires_at FROM given ORDER BY client_id"
    " ON CONFLICT (client_id) DO UPDATE"
    "   SET issued_before = excluded.issued_before, expires_at = excluded.expires_at,"
    "       written_by = pg_current_xact_id()"
    "   WHERE c.issued_before < excluded.issued_before"};
/* clang-format on */

static enum db_status keep_tokens(struct db *db, const struct revocation list[], size_t n) {
    struct db_params p = {0};
    int token = db_array(&p, DB_UUID), expiry = db_array(&p, DB_TIME);
    int client = db_array(&p, DB_TEXT), issued = db_array(&p, DB_TIME);
    for (size_t i = 0; i < n; i++) {
        bool dated = list[i].issued_ms != REVOCATION_NO_TIME;
        db_add_uuid(&p, token, &list[i].token_id);
        db_add_time(&p, expiry, list[i].expires_at * 1000);
        db_add_text(&p, client, list[i].client_id);
        db_add_time(&p, issued, dated ? list[i].issued_ms : DB_NO_TIME);
    }
    enum db_status status = db_run(db, &keep_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status end_clients(struct db *db, const struct client_revocation list[], size_t n) {
    struct db_params p = {0};
    int client = db_array(&p, DB_TEXT), before = db_array(&p, DB_TIME), expiry = db_array(&p, DB_TIME);
    for (size_t i = 0; i < n; i++) {
        db_add_text(&p, client, list[i].client_id);
        db_add_time(&p, before, list[i].before_ms);
        db_add_time(&p, expiry, list[i].expires_at * 1000);
    }
    enum db_status status = db_run(db, &end_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status keep_revocations(struct db *db, void *arg) {
    const struct revocation_batch *batch = arg;
    enum db_status status = batch->token_count ? keep_tokens(db, batch->tokens, batch->token_count) : DB_OK;
    if (status == DB_OK && batch->client_count)
        status = end_clients(db, batch->clients, batch->client_count);
    return status;
}

enum db_status revocation_store_keep(struct db *db, struct revocation_batch *batch) {
    if (batch->token_count + batch->client_count == 0)
        return DB_OK;
    return db_transaction(db, keep_revocations, batch);
}
