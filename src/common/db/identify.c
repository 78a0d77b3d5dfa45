/* Finding out which database a connection leads to. */
#include "private.h"

#include "common/base/clock.h"

#include <stdio.h>

enum db_status db_pass_over(struct db *db) {
    char why[DB_ERROR_SIZE];
    snprintf(why, sizeof why, "%s, port %s is an old primary, which another one has replaced",
             db->conn ? PQhost(db->conn) : "", db->conn ? PQport(db->conn) : "");
    return db_leave(db, why);
}

/* Asks which database the connection leads to. A standby has no timeline of its own yet: it is asked again with each
 * statement, because it keeps its connections when it is promoted. A server that refuses to tell is used all the
 * same. */
enum db_status db_identify(struct db *db) {
    struct db_result *result = NULL;
    enum db_status status = db_finish(db, PQsendQuery(db->conn, "SELECT " DB_IDENTITY_SQL), true, &result);
    const char *text = status == DB_OK && db_rows(result) ? db_text(result, 0, 0) : NULL;
    db->identity_refused = status == DB_FAILED;
    db->identified = text;
    bool old = text && !db_identity_note(db->options.identity, text, clock_mono_ms(), db->identity,
                                         &db->identity_changes);
    db_result_free(result);
    if (!old)
        return status;
    status = db_pass_over(db);
    db->passed_over = true;
    return status;
}

/* A connection to a database that another one has replaced: what it writes may be lost. */
bool db_is_outdated(const struct db *db) {
    return db->identified && db->identity_changes != db_identity_changes(db->options.identity);
}
