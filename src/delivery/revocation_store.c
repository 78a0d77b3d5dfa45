/* The SQL of the revoked tokens. */
#include "revocation_store.h"

const struct db_query revocation_store_probe = {
    "revocation_probe", "SELECT pg_current_xact_id(), EXISTS (SELECT FROM delivery_revoked_tokens)"};

/* Inserts in the order of the ids, so that two transactions with the same tokens cannot deadlock. */
static const struct db_query keep_query = {"revocation_add",
                                           "INSERT INTO delivery_revoked_tokens (token_id, expires_at)"
                                           " SELECT token_id, expires_at"
                                           "   FROM unnest($1::uuid[], $2::timestamptz[])"
                                           "     AS given(token_id, expires_at)"
                                           "  ORDER BY token_id"
                                           " ON CONFLICT DO NOTHING"};

enum db_status revocation_store_keep(struct db *db, const struct revocation list[], size_t n) {
    struct db_params p = {0};
    int token = db_array(&p, DB_UUID), expiry = db_array(&p, DB_TIME);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, token, &list[i].token_id);
        db_add_time(&p, expiry, list[i].expires_at * 1000);
    }
    enum db_status status = db_run(db, &keep_query, &p, NULL);
    db_params_free(&p);
    return status;
}
