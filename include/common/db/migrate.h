/* Numbered SQL migrations, embedded in the binary, applied in order, each once, each in its own transaction.
 */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

struct db;

struct migration {
    const char *name; /* the file's name without .sql, e.g. "001_orders"; NULL ends the table */
    const char *sql;
};

/* The daemon's own table, generated from sql/<daemon>/ (cmake/embed_sql.cmake). */
extern const struct migration migrations[];

/* Applies what is missing, under an advisory lock: any number of replicas may call it at once. service names
 * the ledger table, <service>_migrations. Logs each one it applies, and the failure. */
bool migrate_apply(struct db *db, const char *service, const struct migration *table) MUST_CHECK;

/* Whether every migration of table is in the ledger. Also false when the database does not answer. */
bool migrate_is_current(struct db *db, const char *service, const struct migration *table);

/* Opens a connection of its own and applies what is missing: for a daemon's start and its --migrate. */
struct db_options;
bool migrate_database(const struct db_options *options, const char *service,
                      const struct migration *table) MUST_CHECK;
