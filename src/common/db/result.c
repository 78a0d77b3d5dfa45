/* Reading the rows of a statement's result. */
#include "common/base/money.h"
#include "common/db/db.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* A struct db_result is libpq's PGresult under a name that does not need its header. */
static const PGresult *pg(const struct db_result *result) {
    return (const PGresult *)result;
}

size_t db_rows(const struct db_result *result) {
    return result ? (size_t)PQntuples(pg(result)) : 0;
}

bool db_is_null(const struct db_result *result, size_t row, int column) {
    return PQgetisnull(pg(result), (int)row, column);
}

const char *db_text(const struct db_result *result, size_t row, int column) {
    return db_is_null(result, row, column) ? NULL : PQgetvalue(pg(result), (int)row, column);
}

int64_t db_int(const struct db_result *result, size_t row, int column) {
    return strtoll(PQgetvalue(pg(result), (int)row, column), NULL, 10);
}

bool db_bool(const struct db_result *result, size_t row, int column) {
    return *PQgetvalue(pg(result), (int)row, column) == 't';
}

struct uuid db_uuid(const struct db_result *result, size_t row, int column) {
    struct uuid id = {0};
    (void)!uuid_parse(PQgetvalue(pg(result), (int)row, column), &id);
    return id;
}

int64_t db_cents(const struct db_result *result, size_t row, int column) {
    int64_t cents = 0;
    (void)!money_parse(PQgetvalue(pg(result), (int)row, column), &cents);
    return cents;
}

void db_result_free(struct db_result *result) {
    PQclear((PGresult *)result);
}
