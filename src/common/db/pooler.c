/* A pooler between us and the server, such as PgBouncer with pool_mode=transaction: each transaction may have another
 * session, and perhaps another server.
 *
 * So nothing is left in a session. Statements have no names, and settings are those of one transaction. They are sent
 * together with what begins it, and the same answer tells which database it is: no further round trip. */
#include "private.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

#define SELECT "SELECT " /* which settings begin with */

/* Of this transaction; the identity comes last. A server that refuses to tell it is not asked. */
static void write_settings(const struct db *db, char sql[static DB_SETTINGS_SIZE]) {
    const struct db_options *o = &db->options;
    const char *settings = db->settings ? db->settings->sql : NULL;
    snprintf(sql, DB_SETTINGS_SIZE,
             "SELECT set_config('statement_timeout', '%d', true), set_config('lock_timeout', '%d', true),"
             "       set_config('idle_in_transaction_session_timeout', '%d', true),"
             "       set_config('synchronous_commit', 'on', true), set_config('TimeZone', 'UTC', true),"
             "       set_config('enable_seqscan', 'off', true), set_config('enable_mergejoin', 'off', true),"
             "       set_config('jit', 'off', true), %s%s%s",
             o->statement_timeout_ms, o->lock_timeout_ms, o->statement_timeout_ms + DB_GRACE_MS,
             settings ? settings + strlen(SELECT) : "", settings ? ", " : "",
             db->options.identity && !db->identity_refused ? DB_IDENTITY_SQL : "NULL");
}

enum db_status db_pooler_begin(struct db *db) {
    char settings[DB_SETTINGS_SIZE];
    write_settings(db, settings);
    db->settings_due = true;
    return db_begin_with(db, settings);
}

/* Outside a transaction, a pipeline is one. */
int db_pooler_send(struct db *db, const struct db_query *query, const struct db_values *v) {
    PGconn *conn = db->conn;
    char settings[DB_SETTINGS_SIZE];
    if (db->in_transaction)
        return PQsendQueryParams(conn, query->sql, v->count, v->types, v->values, v->lengths, v->formats, 0);
    write_settings(db, settings);
    if (!PQenterPipelineMode(conn))
        return 0;
    db->pipelined = db->settings_due = true;
    return PQsendQueryParams(conn, settings, 0, NULL, NULL, NULL, NULL, 0) &&
           PQsendQueryParams(conn, query->sql, v->count, v->types, v->values, v->lengths, v->formats, 0) &&
           PQpipelineSync(conn);
}

/* What was known of another database is void, as after a new connection. */
void db_pooler_note(struct db *db, const PGresult *result) {
    if (!db->settings_due || PQresultStatus(result) != PGRES_TUPLES_OK)
        return;
    db->settings_due = false;
    int identity = PQnfields(result) - 1;
    if (PQgetisnull(result, 0, identity))
        return;
    uint8_t before[DB_IDENTITY_SIZE];
    memcpy(before, db->identity, sizeof before);
    db->old_primary = !db_identity_note(db->options.identity, PQgetvalue(result, 0, identity),
                                        clock_mono_ms(), db->identity, &db->identity_changes);
    if (db->identified && memcmp(before, db->identity, sizeof before) != 0)
        db->generation = db->connects ? atomic_fetch_add(db->connects, 1) + 1 : db->generation + 1;
    db->identified = true;
}
