/* What the server's error codes mean to us. */
#include "private.h"

#include <stdio.h>
#include <string.h>

/* The server refused a prepared statement before it ran: its result has other columns than when it was planned, or
 * its name is unknown or taken, because of a migration, a DISCARD, or a pooler that changed the session. */
bool db_is_stale(const char *sqlstate) {
    return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "42P05") == 0;
}

/* The status of a SQLSTATE, by its code or the start of it. The first row that fits counts. Missing tables or
 * columns (42P01, 42703) count as unavailable, because migrations will add them. */
enum db_status db_classify(const char *sqlstate) {
    static const struct {
        const char *start;
        enum db_status status;
    } states[] = {
        {"55P03", DB_LOCK_TIMEOUT}, {"57014", DB_STATEMENT_TIMEOUT}, {"40P01", DB_DEADLOCK},
        {"40001", DB_CONFLICT},     {"08", DB_UNAVAILABLE},          {"53", DB_UNAVAILABLE},
        {"57P", DB_UNAVAILABLE},    {"58", DB_UNAVAILABLE},          {"25006", DB_UNAVAILABLE},
        {"42P01", DB_UNAVAILABLE},  {"42703", DB_UNAVAILABLE},       {"22", DB_REFUSED},
        {"23", DB_REFUSED},
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(sqlstate, states[i].start, strlen(states[i].start)) == 0)
            return states[i].status;
    return db_is_stale(sqlstate) ? DB_CONFLICT : DB_FAILED;
}

/* A wait for another transaction's row names its relation in the context; a wait for a whole table has none. Servers
 * translate the words around it, not the name. */
bool db_waited_for_row(const struct db *db, const char *relation) {
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\"", relation);
    return strstr(db->context, quoted) != NULL;
}

enum outcome db_outcome(enum db_status status) {
    if (db_is_busy(status))
        return OUTCOME_BUSY;
    switch (status) {
    case DB_OK:
        return OUTCOME_DONE;
    case DB_UNAVAILABLE:
        return OUTCOME_UNAVAILABLE;
    case DB_REFUSED:
        return OUTCOME_REFUSED;
    case DB_NO_MEMORY:
        return OUTCOME_NO_MEMORY;
    default:
        return OUTCOME_FAILED;
    }
}
