/* The SQL of the revoked tokens. */
#include "revocation_store.h"

#include "common/base/clock.h"
#include "common/base/json_write.h"
#include "common/base/uuid.h"
#include "common/events/outbox_rows.h"

/* clang-format off */
/* Inserts in the order of the ids, so that two transactions that revoke the same tokens cannot deadlock. */
static const struct db_query revoke_query = {
    "revocation_add",
    "WITH given AS ("
    "  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[])"
    "    AS g(token_id, expires_at, event_id, payload, correlation_id, traceparent)"
    "), fresh AS ("
    "  INSERT INTO revoked_tokens (token_id, expires_at)"
    "  SELECT token_id, expires_at FROM given ORDER BY token_id"
    "  ON CONFLICT DO NOTHING"
    "  RETURNING token_id"
    ")"
    " " OUTBOX_INSERT("revocation_outbox")
    " SELECT event_id, token_id, payload, correlation_id, traceparent"
    "   FROM given"
    "  WHERE token_id IN (SELECT token_id FROM fresh)"};
/* clang-format on */

static void write_event(struct buf *out, const struct revocation *revocation, const struct uuid *event_id) {
    char event[UUID_TEXT_SIZE], token[UUID_TEXT_SIZE];
    uuid_format(event_id, event);
    uuid_format(&revocation->token_id, token);
    buf_clear(out);
    buf_printf(out,
               "{\"eventType\":\"TOKEN_REVOKED\",\"eventId\":\"%s\",\"tokenId\":\"%s\",\"expiresAt\":%lld,"
               "\"timestamp\":",
               event, token, (long long)revocation->expires_at);
    json_append_time(out, clock_epoch_ms());
    buf_char(out, '}');
}

enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[], size_t n) {
    struct db_params p = {0};
    struct buf payload = {0};
    int token = db_array(&p, DB_UUID), expiry = db_array(&p, DB_TIME), event = db_array(&p, DB_UUID);
    int text = db_array(&p, DB_TEXT), correlation = db_array(&p, DB_TEXT), trace = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        struct uuid event_id = uuid_new();
        write_event(&payload, &list[i]->what, &event_id);
        p.failed |= payload.failed;
        db_add_uuid(&p, token, &list[i]->what.token_id);
        db_add_time(&p, expiry, list[i]->what.expires_at * 1000);
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
