/* PostgreSQL: one connection, its prepared statements, and results. The only room that includes libpq.
 *
 * A connection belongs to one thread at a time. It connects when first used, and again after a failure. While the
 * server is away, calls fail at once for a moment instead of trying each time. Every call has a deadline. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/outcome.h"
#include "common/base/uuid.h"
#include "common/db/params.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_result;

enum db_status {
    DB_OK,
    DB_UNAVAILABLE, /* no connection, or lost on the way: the outcome of a write is unknown */
    /* Others are in the way: rolled back, may be tried again. See db_is_busy. */
    DB_LOCK_TIMEOUT,      /* waited for another's lock for too long */
    DB_STATEMENT_TIMEOUT, /* the statement took too long */
    DB_DEADLOCK,          /* chosen to end a circle of waiting transactions */
    DB_CONFLICT,          /* serialization failure */
    DB_REFUSED,           /* the data was refused (SQLSTATE class 22 or 23): rolled back */
    DB_NO_MEMORY,         /* of ours; nothing was sent, or it was rolled back */
    DB_FAILED,            /* anything else, a fault of ours: rolled back */
};

/* Whether the same may succeed when it is tried again at once. */
static inline bool db_is_busy(enum db_status status) {
    return status >= DB_LOCK_TIMEOUT && status <= DB_CONFLICT;
}

/* The same in words that do not name the database: what a route's run returns. */
enum outcome db_outcome(enum db_status status);

struct db_options { /* strings are borrowed and must outlive the connection */
    const char *host, *port, *name, *user, *password, *sslmode;
    const char *sslrootcert; /* "" or NULL: libpq's own */
    const char *application_name;
    int connect_timeout_ms;
    int statement_timeout_ms; /* the server's limit; ours is a second longer */
    int lock_timeout_ms;
};

/* A prepared statement: static, unique by name. Prepared on a connection when first run there. */
struct db_query {
    const char *name;
    const char *sql;
};

/* Does not connect yet. NULL when out of memory. */
struct db *db_open(const struct db_options *options);
void db_close(struct db *db); /* NULL is fine */

/* Runs one statement: outside a db_transaction it is a transaction of its own, durable when DB_OK is returned.
 * params may be NULL. result may be NULL when no rows are wanted; it is set only on DB_OK, and the caller frees
 * it. */
enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) MUST_CHECK;

/* The statements of a transaction. Anything but DB_OK rolls it back. */
typedef enum db_status db_work(struct db *db, void *arg);

/* Runs work in a transaction, once, and commits it. Returns what work returned, or why it was not committed. After
 * DB_UNAVAILABLE nobody knows whether it was. */
enum db_status db_transaction(struct db *db, db_work *work, void *arg) MUST_CHECK;

/* Runs SQL text of several statements as one implicit transaction: for migrations. */
enum db_status db_script(struct db *db, const char *sql) MUST_CHECK;

/* Words for the last failure of this connection, for the log; valid until its next call. */
const char *db_error(const struct db *db);

/* Whether there is a connection, as far as is known without using it. */
bool db_is_connected(const struct db *db);

/* Counts the connections made: when it grew, session state (LISTEN, advisory locks) is gone. */
unsigned db_generation(const struct db *db);

/* Waits until wake_fd is readable, a NOTIFY arrived on this connection, or timeout_ms has passed; without a
 * connection it waits for wake_fd and time alone. True when a NOTIFY arrived. Does not read wake_fd. */
bool db_wait_notify(struct db *db, int wake_fd, int timeout_ms);

/* Rows of a result; row and column count from 0. */
size_t db_rows(const struct db_result *result); /* NULL has no rows */
bool db_is_null(const struct db_result *result, size_t row, int column);
const char *db_text(const struct db_result *result, size_t row, int column); /* NULL for SQL NULL; borrowed */
int64_t db_int(const struct db_result *result, size_t row, int column);      /* 0 for SQL NULL */
bool db_bool(const struct db_result *result, size_t row, int column);
struct uuid db_uuid(const struct db_result *result, size_t row, int column); /* zeros for SQL NULL */
int64_t db_cents(const struct db_result *result, size_t row, int column);    /* of NUMERIC(p,2); 0 for NULL */
void db_result_free(struct db_result *result);                               /* NULL is fine */
