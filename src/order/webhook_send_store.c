/* The SQL of sending. */
#include "webhook_send_store.h"

/* clang-format off */
/* The statistics of a queue are always wrong, so the planner may not choose to read all of it. */
const struct db_query webhook_send_store_settings = {
    "webhook_settings",
    "SELECT set_config('synchronous_commit', 'off', true), set_config('enable_hashjoin', 'off', true)"};

static const struct db_query claim_query = {
    "webhook_claim",
    "WITH hook AS ("
    "  SELECT w.id, w.doubt > 0 AS doubtful, coalesce(r.sending, 0) AS sending,"
    "         greatest(CASE WHEN w.doubt = 0 THEN $3 ELSE 1 END - coalesce(r.sending, 0), 0) AS room,"
    "         coalesce(r.from_at, '-infinity') AS from_at"
    "    FROM webhooks w"
    "    LEFT JOIN unnest($1::uuid[], $2::bigint[], $7::timestamptz[]) AS r(id, sending, from_at) USING (id)"
    "   WHERE w.enabled AND w.deleted_at IS NULL AND w.not_before <= now()"
    "     AND NOT EXISTS (SELECT FROM clients c WHERE c.client_id = w.client_id"
    "                        AND (c.disabled OR NOT 'webhook:manage' = ANY (string_to_array(c.scope, ' '))))"
    "), due AS ("
    "  SELECT d.id, d.next_at, hook.doubtful,"
    "         hook.sending + row_number() OVER (PARTITION BY hook.id ORDER BY d.next_at) AS turn"
    "    FROM hook CROSS JOIN LATERAL ("
    "      SELECT d.id, d.next_at FROM webhook_deliveries d"
    "       WHERE d.webhook_id = hook.id AND d.next_at >= hook.from_at AND d.next_at <= now() AND (d.lease_until IS NULL OR d.lease_until < now())"
    "         AND NOT EXISTS (SELECT FROM webhook_deliveries e"
    "                          WHERE e.webhook_id = d.webhook_id AND e.order_id = d.order_id AND e.seq < d.seq"
    "                            AND e.next_at IS NOT NULL)"
    "       ORDER BY d.next_at LIMIT hook.room) AS d"
    "), placed AS ("
    "  SELECT id, next_at, doubtful, turn, row_number() OVER (PARTITION BY doubtful ORDER BY turn, next_at) AS place"
    "    FROM due"
    "), picked AS ("
    "  SELECT id FROM placed WHERE NOT doubtful OR place <= $5 ORDER BY turn, next_at LIMIT $4"
    "), taken AS ("
    "  SELECT d.id FROM webhook_deliveries d"
    "   WHERE d.id IN (SELECT id FROM picked)"
    "     AND d.next_at <= now() AND (d.lease_until IS NULL OR d.lease_until < now())"
    "     FOR NO KEY UPDATE SKIP LOCKED"
    ")"
    " UPDATE webhook_deliveries d"
    "    SET lease_until = now() + $6 * interval '1 ms', attempts = d.attempts + 1,"
    "        failures = CASE WHEN w.resumed_at > coalesce(d.last_at, '-infinity') THEN 0 ELSE d.failures END"
    "   FROM taken, webhooks w"
    "  WHERE d.id = taken.id AND w.id = d.webhook_id"
    " RETURNING d.id, d.webhook_id, w.client_id, w.url, w.secret,"
    "           CASE WHEN w.old_secret_until > now() THEN w.old_secret END, d.body, d.attempts, d.failures, w.doubt,"
    "           floor(extract(epoch FROM d.next_at) * 1000)::bigint, floor(extract(epoch FROM now()) * 1000)::bigint"};
enum {
    C_ID,
    C_WEBHOOK,
    C_CLIENT,
    C_URL,
    C_SECRET,
    C_OLD_SECRET,
    C_BODY,
    C_ATTEMPTS,
    C_FAILURES,
    C_DOUBT,
    C_DUE,
    C_CLAIMED
};

/* Later deliveries of a lane are due when its first one is. So whoever looks for due ones does not find them before. When it
 * is delivered, they become due now: a claim does not look for what has been due for long (webhook_receivers.h). */
static const struct db_query record_query = {
    "webhook_record",
    "WITH result AS ("
    "  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])"
    "    AS r(id, attempts, delivered, delay_ms, status, error, answer)"
    "), done AS ("
    "  UPDATE webhook_deliveries d"
    "     SET next_at = CASE WHEN r.delivered = 0 THEN now() + r.delay_ms * interval '1 ms' END,"
    "         delivered_at = CASE WHEN r.delivered = 0 THEN d.delivered_at ELSE now() END,"
    "         failures = CASE WHEN r.delivered = 0 THEN d.failures + 1 ELSE d.failures END,"
    "         lease_until = NULL, last_at = now(), last_status = nullif(r.status, 0), last_error = r.error,"
    "         last_answer = r.answer"
    "    FROM result r"
    "   WHERE d.id = r.id AND d.attempts = r.attempts AND d.next_at IS NOT NULL"
    "  RETURNING d.webhook_id, d.order_id, d.seq, coalesce(d.next_at, now()) AS next_at, d.next_at IS NULL AS delivered"
    ")"
    " UPDATE webhook_deliveries f"
    "    SET next_at = done.next_at"
    "   FROM done"
    "  WHERE f.webhook_id = done.webhook_id AND f.order_id = done.order_id AND f.seq > done.seq"
    "    AND f.next_at IS NOT NULL AND f.lease_until IS NULL" /* the index of lanes wants to know that */
    "    AND CASE WHEN done.delivered THEN f.next_at > now() OR f.next_at < now() - interval '1 s'"
    "             ELSE f.next_at < done.next_at END"};

/* Replicas write what the same receivers have shown, so they lock them in one order. Requests that were on their way with the
 * first one that failed tell nothing new, and those that began before the webhook was changed tell nothing of it. */
static const struct db_query shown_query = {
    "webhook_shown",
    "UPDATE webhooks w"
    "   SET doubt = CASE WHEN s.unwell = 0 THEN 0 WHEN w.not_before > now() THEN w.doubt"
    "                    ELSE least(w.doubt + 1, 16) END,"
    "       not_before = CASE WHEN s.unwell = 0 THEN '-infinity'"
    "                         ELSE greatest(w.not_before, now() + s.pause_ms * interval '1 ms') END,"
    "       enabled = w.enabled AND s.reason IS NULL,"
    "       reason = CASE WHEN w.enabled AND s.reason IS NOT NULL THEN s.reason ELSE w.reason END"
    "  FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[])"
    "                   AS s(id, unwell, pause_ms, reason, since)"
    "         ORDER BY id) s"
    " WHERE w.id = s.id AND date_trunc('milliseconds', w.updated_at) <= s.since"
    " RETURNING w.id, NOT w.enabled AND (SELECT before.enabled FROM webhooks before WHERE before.id = w.id)"};

static const struct db_query release_query = {
    "webhook_release",
    "UPDATE webhook_deliveries d SET lease_until = NULL, next_at = now()"
    "  FROM unnest($1::uuid[], $2::bigint[]) AS r(id, attempts)"
    " WHERE d.id = r.id AND d.attempts = r.attempts AND d.next_at IS NOT NULL"};
/* clang-format on */

static void read_claimed(const struct db_result *rows, size_t row, struct arena *arena,
                         struct webhook_claimed *out) {
    const char *old = db_text(rows, row, C_OLD_SECRET);
    *out = (struct webhook_claimed){.id = db_uuid(rows, row, C_ID),
                                    .webhook_id = db_uuid(rows, row, C_WEBHOOK),
                                    .client_id = arena_strdup(arena, db_text(rows, row, C_CLIENT)),
                                    .url = arena_strdup(arena, db_text(rows, row, C_URL)),
                                    .secret = arena_strdup(arena, db_text(rows, row, C_SECRET)),
                                    .old_secret = old ? arena_strdup(arena, old) : NULL,
                                    .body = arena_strdup(arena, db_text(rows, row, C_BODY)),
                                    .attempts = db_int(rows, row, C_ATTEMPTS),
                                    .failures = db_int(rows, row, C_FAILURES),
                                    .doubt = db_int(rows, row, C_DOUBT),
                                    .due_ms = db_int(rows, row, C_DUE),
                                    .claimed_ms = db_int(rows, row, C_CLAIMED)};
}

enum db_status webhook_send_store_claim(struct db *db, const struct webhook_claim *claim, struct arena *arena,
                                        struct webhook_claimed **claimed, size_t *count) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    int id = db_array(&p, DB_UUID), sending = db_array(&p, DB_INT);
    for (size_t i = 0; i < claim->receivers->count; i++) {
        db_add_uuid(&p, id, &claim->receivers->list[i].id);
        db_add_int(&p, sending, claim->receivers->list[i].sending);
    }
    db_int_param(&p, claim->of_receiver);
    db_int_param(&p, (int64_t)claim->limit);
    db_int_param(&p, (int64_t)claim->doubtful);
    db_int_param(&p, claim->lease_ms);
    int from = db_array(&p, DB_TIME);
    for (size_t i = 0; i < claim->receivers->count; i++)
        db_add_time(&p, from, claim->receivers->list[i].from_ms);
    enum db_status status = db_run(db, &claim_query, &p, &rows);
    db_params_free(&p);
    *count = db_rows(rows);
    *claimed = arena_array(arena, *count + 1, sizeof **claimed);
    for (size_t i = 0; *claimed && i < *count; i++)
        read_claimed(rows, i, arena, &(*claimed)[i]);
    db_result_free(rows);
    return status == DB_OK && arena->failed ? DB_NO_MEMORY : status;
}

static enum db_status record_sent(struct db *db, const struct webhook_sent sent[], size_t n) {
    struct db_params p = {0};
    int id = db_array(&p, DB_UUID), attempts = db_array(&p, DB_INT), delivered = db_array(&p, DB_INT);
    int delay = db_array(&p, DB_INT), code = db_array(&p, DB_INT), error = db_array(&p, DB_TEXT);
    int answer = db_array(&p, DB_TEXT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &sent[i].id);
        db_add_int(&p, attempts, sent[i].attempts);
        db_add_int(&p, delivered, sent[i].delivered);
        db_add_int(&p, delay, sent[i].delay_ms);
        db_add_int(&p, code, sent[i].status);
        db_add_text(&p, error, sent[i].error);
        db_add_text(&p, answer, sent[i].answer);
    }
    enum db_status status = db_run(db, &record_query, &p, NULL);
    db_params_free(&p);
    return status;
}

static enum db_status record_shown(struct db *db, struct webhook_shown shown[], size_t n) {
    struct db_params p = {0};
    struct db_result *rows = NULL;
    int id = db_array(&p, DB_UUID), unwell = db_array(&p, DB_INT), pause = db_array(&p, DB_INT);
    int reason = db_array(&p, DB_TEXT), since = db_array(&p, DB_TIME);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &shown[i].id);
        db_add_int(&p, unwell, shown[i].unwell);
        db_add_int(&p, pause, shown[i].pause_ms);
        db_add_text(&p, reason, shown[i].reason);
        db_add_time(&p, since, shown[i].since_ms);
    }
    enum db_status status = db_run(db, &shown_query, &p, &rows);
    for (size_t row = 0; row < db_rows(rows); row++) {
        struct uuid of = db_uuid(rows, row, 0);
        for (size_t i = 0; i < n; i++)
            if (uuid_compare(&shown[i].id, &of) == 0)
                shown[i].disabled = db_bool(rows, row, 1);
    }
    db_result_free(rows);
    db_params_free(&p);
    return status;
}

struct record_work {
    const struct webhook_sent *sent;
    struct webhook_shown *shown;
    size_t n, shown_count;
};

/* Locks webhooks before deliveries, as everybody does. */
static enum db_status record_both(struct db *db, void *arg) {
    const struct record_work *work = arg;
    enum db_status status = record_shown(db, work->shown, work->shown_count);
    return status == DB_OK ? record_sent(db, work->sent, work->n) : status;
}

enum db_status webhook_send_store_record(struct db *db, const struct webhook_sent sent[], size_t n,
                                         struct webhook_shown shown[], size_t shown_count) {
    struct record_work work = {sent, shown, n, shown_count};
    return shown_count ? db_transaction(db, record_both, &work) : record_sent(db, sent, n);
}

enum db_status webhook_send_store_release(struct db *db, const struct webhook_sent unsent[], size_t n) {
    struct db_params p = {0};
    int id = db_array(&p, DB_UUID), attempts = db_array(&p, DB_INT);
    for (size_t i = 0; i < n; i++) {
        db_add_uuid(&p, id, &unsent[i].id);
        db_add_int(&p, attempts, unsent[i].attempts);
    }
    enum db_status status = db_run(db, &release_query, &p, NULL);
    db_params_free(&p);
    return status;
}
