/* The SQL of deleting expired idempotency keys. */
#include "expiry_store.h"

enum { SWEEP_MS = 60000 }; /* until the walk begins again */

/* The rows are locked, so their places (ctid) stay theirs: no need to find each again by its key, which is random. */
static const struct db_query expire_query = {
    "order_expire_keys",
    "WITH gone AS ("
    "  DELETE FROM idempotency_keys"
    "   WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_keys"
    "                            WHERE expires_at < now() AND expires_at >= $2"
    "                            ORDER BY expires_at"
    "                            LIMIT $1"
    "                              FOR UPDATE SKIP LOCKED))"
    "  RETURNING expires_at"
    ")"
    " SELECT count(*), floor(extract(epoch FROM max(expires_at)) * 1000)::bigint FROM gone"};
enum { EXPIRED_COUNT, EXPIRED_LAST };

enum db_status expiry_store_delete(struct db *db, struct db_walk *walk, int64_t limit, size_t *deleted) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_int_param(&p, limit);
    db_time_param(&p, db_walk_from(walk, SWEEP_MS));
    enum db_status status = db_run(db, &expire_query, &p, &result);
    *deleted = status == DB_OK ? (size_t)db_int(result, 0, EXPIRED_COUNT) : 0;
    if (*deleted > 0)
        db_walk_to(walk, db_int(result, 0, EXPIRED_LAST));
    db_result_free(result);
    db_params_free(&p);
    return status;
}
