/* Numbered SQL migrations, embedded in the binary. Each is applied once, in order, in a transaction of its own.
 *
 * One that begins with the line MIGRATE_ALONE is not. Each of its statements stands alone, ends with a semicolon at the end
 * of a line, and may be repeated: the migration is run again when it was interrupted. So CREATE INDEX CONCURRENTLY IF NOT
 * EXISTS can be used, for indexes of tables that others write into. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

#define MIGRATE_ALONE "-- no-transaction\n"

struct db;

struct migration {
    const char *name; /* the file's name without .sql, e.g. "001_orders"; NULL ends the table */
    const char *sql;
};

/* The daemon's own table, generated from sql/<daemon>/ (cmake/embed_sql.cmake). */
extern const struct migration migrations[];

/* Applies the missing migrations under an advisory lock, so any number of replicas may call it at once. The ledger
 * table is <service>_migrations. Logs each migration that it applies, and a failure. */
bool migrate_apply(struct db *db, const char *service, const struct migration *table) MUST_CHECK;

/* Whether every migration of table is in the ledger. Also false when the database is unavailable. */
bool migrate_is_current(struct db *db, const char *service, const struct migration *table);

/* Opens a connection of its own and applies the missing migrations: for a daemon's start and its --migrate. */
struct db_options;
bool migrate_database(const struct db_options *options, const char *service,
                      const struct migration *table) MUST_CHECK;
