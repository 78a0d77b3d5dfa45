/* What the server's error codes mean to us. */
#include "private.h"

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

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* A wait for another transaction's row names its relation in the context. A wait for a whole table has no context.
 * Servers translate the words and the quotation marks around the name, but not the name. */
bool db_waited_for_row(const struct db *db, const char *relation) {
    size_t len = strlen(relation);
    for (const char *at = strstr(db->context, relation); at; at = strstr(at + 1, relation))
        if ((at == db->context || !is_name_char(at[-1])) && !is_name_char(at[len]))
            return true;
    return false;
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
