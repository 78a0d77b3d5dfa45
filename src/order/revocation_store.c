/* The SQL of the revoked tokens. */
#include "revocation_store.h"

#include "common/base/uuid.h"
#include "common/events/outbox_rows.h"
#include "common/tracing/tracing.h"
#include "revocation_json.h"

/* clang-format off */
/* Inserts in the order of the ids, so that two transactions that revoke the same tokens cannot deadlock. */
static const struct db_query revoke_query = {
    "revocation_add",
    "WITH given AS ("
    "  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[],"
    "                       $5::uuid[], $6::text[], $7::text[], $8::text[])"
    "    AS g(token_id, expires_at, client_id, issued_at, event_id, payload, correlation_id, traceparent)"
    "), fresh AS ("
    "  INSERT INTO revoked_tokens (token_id, expires_at, client_id, issued_at)"
    "  SELECT token_id, expires_at, client_id, issued_at FROM given ORDER BY token_id"
    "  ON CONFLICT DO NOTHING"
    "  RETURNING token_id"
    ")"
    " " OUTBOX_INSERT("revocation_outbox")
    " SELECT event_id, token_id, payload, correlation_id, traceparent"
    "   FROM given"
    "  WHERE token_id IN (SELECT token_id FROM fresh)"
    " RETURNING pg_notify('revocation_outbox', '')"};

static const struct db_query end_query = {
    "revocation_end",
    "WITH fresh AS ("
    "  INSERT INTO revoked_clients AS c (client_id, issued_before, expires_at)"
    "  VALUES ($1, $2, $3)"
    "  ON CONFLICT (client_id) DO UPDATE"
    "    SET issued_before = excluded.issued_before, expires_at = excluded.expires_at,"
    "        written_by = pg_current_xact_id(), revoked_at = now(), quiet_since = now()"
    "    WHERE c.issued_before < excluded.issued_before"
    "  RETURNING client_id"
    "), gone AS ("
    "  DELETE FROM revoked_tokens WHERE client_id = $1 AND issued_at < $2"
    ")"
    " " OUTBOX_INSERT("revocation_outbox")
    " SELECT $4::uuid, $5::uuid, $6, $7, $8"
    "   FROM fresh"
    " RETURNING pg_notify('revocation_outbox', '')"};

static const struct db_query trim_query = {
    "revocation_trim",
    "SELECT (extract(epoch FROM issued_at) * 1000)::bigint"
    "  FROM revoked_tokens"
    " WHERE client_id = $1 AND issued_at IS NOT NULL"
    " ORDER BY issued_at DESC"
    " OFFSET $2"
    " LIMIT 1"};

static const struct db_query now_query = {
    "revocation_now",
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"};
/* clang-format on */

static int64_t revocation_time(int64_t issued_ms) {
    return issued_ms == REVOCATION_NO_TIME ? DB_NO_TIME : issued_ms;
}

enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[], size_t n) {
    struct db_params p = {0};
    struct buf payload = {0};
    int token = db_array(&p, DB_UUID), expiry = db_array(&p, DB_TIME), client = db_array(&p, DB_TEXT);
    int issued = db_array(&p, DB_TIME), event = db_array(&p, DB_UUID), text = db_array(&p, DB_TEXT);
    int correlation = db_array(&p, DB_TEXT), trace = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        struct uuid event_id = uuid_new();
        revocation_token_json(&payload, &list[i]->what, &event_id);
        p.failed |= payload.failed;
        db_add_uuid(&p, token, &list[i]->what.token_id);
        db_add_time(&p, expiry, list[i]->what.expires_at * 1000);
        db_add_text(&p, client, list[i]->what.client_id);
        db_add_time(&p, issued, revocation_time(list[i]->what.issued_ms));
        db_add_uuid(&p, event, &event_id);
        db_add_text(&p, text, payload.data);
        db_add_text(&p, correlation, list[i]->correlation_id);
        db_add_text(&p, trace, list[i]->traceparent);
    }
    enum db_status status = db_run(db, &revoke_query, &p, NULL);
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

enum db_status revocation_store_end(struct db *db, const struct client_revocation *end,
                                    const char *correlation_id) {
    struct db_params p = {0};
    struct buf payload = {0};
    char traceparent[TRACEPARENT_SIZE];
    struct uuid event_id = uuid_new(), group = revocation_client_group(end->client_id);
    span_root("revoke client", traceparent);
    revocation_client_json(&payload, end, &event_id);
    db_text_param(&p, end->client_id);
    db_time_param(&p, end->before_ms);
    db_time_param(&p, end->expires_at * 1000);
    db_uuid_param(&p, &event_id);
    db_uuid_param(&p, &group);
    db_text_param(&p, payload.data);
    db_text_param(&p, correlation_id);
    db_text_param(&p, traceparent);
    p.failed |= payload.failed;
    enum db_status status = db_run(db, &end_query, &p, NULL);
    buf_free(&payload);
    db_params_free(&p);
    return status;
}

struct trim_work {
    const char *client_id, *correlation_id;
    int64_t keep;
    struct client_revocation *end;
    bool *ended;
};

/* The tokens of the first row that is too many end, too, and so does whatever was issued in its millisecond. */
static enum db_status trim_revocations(struct db *db, void *arg) {
    const struct trim_work *work = arg;
    struct db_params p = {0};
    struct db_result *rows = NULL;
    db_text_param(&p, work->client_id);
    db_int_param(&p, work->keep);
    enum db_status status = db_run(db, &trim_query, &p, &rows);
    db_params_free(&p);
    *work->ended = db_rows(rows) > 0;
    if (*work->ended) {
        int64_t before_ms = db_int(rows, 0, 0) + 1;
        *work->end =
            (struct client_revocation){work->client_id, before_ms, before_ms / 1000 + REVOCATION_LIFE_S};
        status = revocation_store_end(db, work->end, work->correlation_id);
    }
    db_result_free(rows);
    return status;
}

enum db_status revocation_store_trim(struct db *db, const char *client_id, int64_t keep,
                                     const char *correlation_id, struct client_revocation *end, bool *ended) {
    struct trim_work work = {client_id, correlation_id, keep, end, ended};
    *ended = false;
    return db_transaction(db, trim_revocations, &work);
}

enum db_status revocation_store_now(struct db *db, int64_t *now_ms) {
    struct db_result *rows = NULL;
    enum db_status status = db_run(db, &now_query, NULL, &rows);
    if (status == DB_OK)
        *now_ms = db_int(rows, 0, 0);
    db_result_free(rows);
    return status;
}
