/* PostgreSQL: one connection, its prepared statements, and results. The only room that includes libpq.
 *
 * A connection belongs to one thread at a time. It connects on first use, and again after a failure. While the
 * server is unavailable, calls fail immediately for a moment instead of connecting each time. Every call except
 * db_script has a deadline. Of several addresses, the first that is ready and takes writes is used, and tried first
 * from then on. The others are tried beside one that does not answer at once. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/outcome.h"
#include "common/base/secret.h"
#include "common/base/uuid.h"
#include "common/db/params.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_MAX_HOSTS 8 /* that options may name; of all their addresses, as many are tried */
#define DB_FILES                                                                                             \
    DB_MAX_HOSTS /* file descriptors of a connection at most: while it is made, one for each address */

struct db;
struct db_identity;
struct db_pool;
struct db_result;

enum db_status {
    DB_OK,
    DB_UNAVAILABLE, /* no connection, or it was lost: the outcome of a write is unknown */
    /* Other transactions interfered: rolled back, may be tried again. See db_is_busy. */
    DB_LOCK_TIMEOUT,      /* waited too long for a lock */
    DB_STATEMENT_TIMEOUT, /* the statement took too long */
    DB_DEADLOCK,          /* chosen as the victim of a deadlock */
    DB_CONFLICT,          /* serialization failure, or a plan that a migration made void */
    DB_REFUSED,           /* the data was refused (SQLSTATE class 22 or 23): rolled back */
    DB_NO_MEMORY,         /* in this process: nothing was sent, or it was rolled back */
    DB_FAILED,            /* anything else, an error on our side: rolled back */
};

/* Whether an immediate retry may succeed. */
static inline bool db_is_busy(enum db_status status) {
    return status >= DB_LOCK_TIMEOUT && status <= DB_CONFLICT;
}

/* The status as an outcome, which does not name the database. A route's run returns it. */
enum outcome db_outcome(enum db_status status);

/* A prepared statement. Its name is static and unique. It is prepared on a connection when it first runs there. */
struct db_query {
    const char *name;
    const char *sql;
};

/* How many connections of a pool one may have (db/pool.h). */
enum db_share {
    DB_PROMPT, /* as many as there are: short statements that others wait for */
    DB_BULK,   /* all but one, together with the next */
    DB_LATE,   /* one less than these, and two at most: what may be late */
};

struct db_options {          /* strings are borrowed and must outlive the connection */
    const char *host, *port; /* lists that are separated by commas; one port is for all hosts */
    const char *name, *user, *sslmode;
    struct secret_source password; /* of this moment, at each connection */
    const char *sslrootcert;       /* "" or NULL: libpq's own */
    const char *application_name;
    int connect_timeout_ms;   /* for each address */
    int statement_timeout_ms; /* the server's limit; the client waits a second longer */
    int lock_timeout_ms;
    struct db_identity
        *identity; /* follows what the connection leads to (db/identity.h); NULL: nobody asks */
    bool standby;  /* only a standby is used, which takes no writes */
    bool pooler;   /* a pooler is in between, which gives each transaction a session of its own choice */
    /* SELECT of set_config(name, value, true): settings of each transaction, besides those of the session; NULL: none */
    const struct db_query *settings;
    struct db_pool *pool; /* whose connections are used (db/pool.h); NULL: one of its own */
    enum db_share share;
    /* Is told of each NOTIFY, by whichever thread uses the connection then; must not block. NULL: nobody is. */
    void (*heard)(void *cls, const char *channel);
    void *heard_cls;
};

/* Does not connect yet. NULL when out of memory. */
struct db *db_open(const struct db_options *options);
void db_close(struct db *db); /* NULL is fine */

/* Runs one statement. Outside a db_transaction it is a transaction of its own, and durable when DB_OK is returned.
 * params may be NULL. result may be NULL when no rows are wanted. *result is set only on DB_OK, and the caller
 * frees it. */
enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) MUST_CHECK;

/* The statements of a transaction. Any status but DB_OK rolls it back. */
typedef enum db_status db_work(struct db *db, void *arg);

/* Runs work once, in a transaction, and commits it. Returns what work returned, or why the commit failed. After
 * DB_UNAVAILABLE nobody knows whether the transaction was committed. */
enum db_status db_transaction(struct db *db, db_work *work, void *arg) MUST_CHECK;

/* Runs SQL text with several statements as one implicit transaction, without a deadline: for migrations. */
enum db_status db_script(struct db *db, const char *sql) MUST_CHECK;

/* The error message of the last failure of this connection, for the log. Valid until its next call. */
const char *db_error(const struct db *db);

/* After a DB_LOCK_TIMEOUT: whether it was a row of this table that another transaction held, not the table. */
bool db_waited_for_row(const struct db *db, const char *relation);

/* Whether there is a connection, as far as is known without using it; of a pool, whether there was one after the last use. */
bool db_is_connected(const struct db *db);

/* The next use makes a new connection, and of a pool, puts it in the place of the one that it got. */
void db_renew(struct db *db);

/* Counts the connections made. When it has grown, session state (LISTEN, advisory locks) is gone. */
unsigned db_generation(const struct db *db);

/* Waits until wake_fd is readable, something arrives on this connection, or timeout_ms has passed. Without a
 * connection it waits for wake_fd and the timeout only. True when a NOTIFY arrived. Does not read wake_fd. Of a pool of one
 * connection: others may use it meanwhile. What they read of it is told to heard. */
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
