/* The SQL of publishing revocations again. */
#include "common/base/uuid.h"
#include "common/events/outbox_rows.h"
#include "common/tracing/tracing.h"
#include "revocation_json.h"
#include "revocation_store.h"

/* clang-format off */
/* A row is next due after as much time as has passed since it was revoked. So the interval doubles. */
static const struct db_query tokens_query = {
    "revocation_quiet_tokens",
    "WITH quiet AS ("
    "  SELECT token_id, quiet_since FROM revoked_tokens"
    "   WHERE quiet_since <= now() - $1 * interval '1 ms' AND quiet_since >= $3 AND expires_at > now()"
    "   ORDER BY quiet_since"
    "   LIMIT $2"
    "     FOR NO KEY UPDATE SKIP LOCKED"
    ")"
    " UPDATE revoked_tokens r"
    "    SET quiet_since = now() + greatest(now() - r.revoked_at - $1 * interval '1 ms', interval '0')"
    "   FROM quiet"
    "  WHERE r.token_id = quiet.token_id"
    " RETURNING r.token_id, extract(epoch FROM r.expires_at)::bigint, r.client_id,"
    "           (extract(epoch FROM r.issued_at) * 1000)::bigint,"
    "           EXISTS (SELECT FROM revocation_outbox w WHERE w.group_id = r.token_id),"
    "           floor(extract(epoch FROM quiet.quiet_since) * 1000)::bigint"};
enum { TOKEN_ID, TOKEN_EXPIRES, TOKEN_CLIENT, TOKEN_ISSUED, TOKEN_WAITS, TOKEN_QUIET };

static const struct db_query clients_query = {
    "revocation_quiet_clients",
    "WITH quiet AS ("
    "  SELECT client_id, quiet_since FROM revoked_clients"
    "   WHERE quiet_since <= now() - $1 * interval '1 ms' AND quiet_since >= $3 AND expires_at > now()"
    "   ORDER BY quiet_since"
    "   LIMIT $2"
    "     FOR NO KEY UPDATE SKIP LOCKED"
    ")"
    " UPDATE revoked_clients r"
    "    SET quiet_since = now() + greatest(now() - r.revoked_at - $1 * interval '1 ms', interval '0')"
    "   FROM quiet"
    "  WHERE r.client_id = quiet.client_id"
    " RETURNING r.client_id, extract(epoch FROM r.expires_at)::bigint,"
    "           (extract(epoch FROM r.issued_before) * 1000)::bigint,"
    "           floor(extract(epoch FROM quiet.quiet_since) * 1000)::bigint"};
enum { CLIENT_ID, CLIENT_EXPIRES, CLIENT_BEFORE, CLIENT_QUIET };
/* clang-format on */

static const struct db_query repeat_query = {"revocation_repeat", OUTBOX_INSERT_ROWS("revocation_outbox")};

/* The request that revoked is long over: the correlation id is the event's, and the trace is new. */
static void repeat_add(struct outbox_rows *rows, const struct uuid *event_id, const struct uuid *group,
                       const struct buf *payload) {
    char id[UUID_TEXT_SIZE], traceparent[TRACEPARENT_SIZE];
    uuid_format(event_id, id);
    span_root("repeat revocation", traceparent);
    outbox_rows_add(rows, event_id, group, payload, id, traceparent);
}

static void repeat_tokens(struct outbox_rows *out, const struct db_result *quiet, struct buf *payload) {
    for (size_t row = 0; row < db_rows(quiet); row++) {
        struct uuid event_id = uuid_new();
        if (db_bool(quiet, row, TOKEN_WAITS))
            continue;
        bool dated = !db_is_null(quiet, row, TOKEN_ISSUED);
        const struct revocation token = {.token_id = db_uuid(quiet, row, TOKEN_ID),
                                         .expires_at = db_int(quiet, row, TOKEN_EXPIRES),
                                         .client_id = db_text(quiet, row, TOKEN_CLIENT),
                                         .issued_ms =
                                             dated ? db_int(quiet, row, TOKEN_ISSUED) : REVOCATION_NO_TIME};
        revocation_token_json(payload, &token, &event_id);
        repeat_add(out, &event_id, &token.token_id, payload);
    }
}

static void repeat_clients(struct outbox_rows *out, const struct db_result *quiet, struct buf *payload) {
    for (size_t row = 0; row < db_rows(quiet); row++) {
        struct uuid event_id = uuid_new();
        const struct client_revocation end = {.client_id = db_text(quiet, row, CLIENT_ID),
                                              .before_ms = db_int(quiet, row, CLIENT_BEFORE),
                                              .expires_at = db_int(quiet, row, CLIENT_EXPIRES)};
        struct uuid group = revocation_client_group(end.client_id);
        revocation_client_json(payload, &end, &event_id);
        repeat_add(out, &event_id, &group, payload);
    }
}

enum { SWEEP_MS = 10000 }; /* until a walk begins again */
enum { TOKENS, CLIENTS, REPEATED_KINDS };

struct repeat_work {
    int64_t after_ms;
    struct db_walk *walks;
    int64_t last_ms[REPEATED_KINDS]; /* since when the last row was silent; 0: there was none */
    size_t *count;
};

/* Takes the silent rows of one kind. */
static enum db_status take_quiet(struct db *db, struct repeat_work *work, int kind,
                                 const struct db_query *query, int column, struct db_result **rows) {
    struct db_params p = {0};
    db_int_param(&p, work->after_ms);
    db_int_param(&p, REVOCATION_REPEAT_LIMIT);
    db_time_param(&p, db_walk_from(&work->walks[kind], SWEEP_MS));
    enum db_status status = db_run(db, query, &p, rows);
    for (size_t row = 0; row < db_rows(*rows); row++)
        if (db_int(*rows, row, column) > work->last_ms[kind])
            work->last_ms[kind] = db_int(*rows, row, column);
    db_params_free(&p);
    return status;
}

static enum db_status repeat_revocations(struct db *db, void *arg) {
    struct repeat_work *work = arg;
    struct db_result *tokens = NULL, *clients = NULL;
    struct outbox_rows rows;
    struct buf payload = {0};
    enum db_status status = take_quiet(db, work, TOKENS, &tokens_query, TOKEN_QUIET, &tokens);
    if (status == DB_OK)
        status = take_quiet(db, work, CLIENTS, &clients_query, CLIENT_QUIET, &clients);
    *work->count = db_rows(tokens) + db_rows(clients);
    if (status == DB_OK && *work->count > 0) {
        outbox_rows_open(&rows);
        repeat_tokens(&rows, tokens, &payload);
        repeat_clients(&rows, clients, &payload);
        status = outbox_rows_insert(&rows, db, &repeat_query);
    }
    buf_free(&payload);
    db_result_free(tokens);
    db_result_free(clients);
    return status;
}

enum db_status revocation_store_repeat(struct db *db, int64_t after_ms, struct db_walk walks[static 2],
                                       size_t *count) {
    struct repeat_work work = {.after_ms = after_ms, .walks = walks, .count = count};
    *count = 0;
    enum db_status status = db_transaction(db, repeat_revocations, &work);
    for (int kind = 0; kind < REPEATED_KINDS && status == DB_OK; kind++)
        if (work.last_ms[kind] > 0)
            db_walk_to(&walks[kind], work.last_ms[kind]);
    return status;
}
