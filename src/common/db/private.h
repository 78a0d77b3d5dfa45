/* What the files of a connection share: connect.c connects, db.c runs statements, result.c reads their rows. */
#pragma once

#include "common/db/db.h"
#include "common/db/identity.h"
#include "common/metrics/metrics.h"
#include "search.h"

#include <libpq-fe.h>
#include <stdatomic.h>

#define DB_SYSTEM "postgresql"

enum {
    DB_GRACE_MS = 1000,              /* how much longer than the server's statement timeout we wait */
    DB_MAX_PREPARED = 128,           /* maximum of one connection; a daemon has fewer queries */
    DB_MAX_ADDRESSES = DB_MAX_HOSTS, /* further ones are not tried */
    DB_SETTINGS_SIZE = 2048,         /* of the statement that sets what one transaction needs */
    DB_HOST_SIZE = 256,
    DB_PORT_SIZE = 8,
    DB_IP_SIZE = 64,
};

/* Where a database may be. */
struct db_address {
    char host[DB_HOST_SIZE]; /* a name, for its certificate, or the directory of a socket */
    char port[DB_PORT_SIZE];
    char ip[DB_IP_SIZE]; /* "": a socket */
};

struct db {
    struct db_options options;
    PGconn *conn;                          /* NULL: not connected */
    const char *prepared[DB_MAX_PREPARED]; /* names of the statements prepared on this connection */
    size_t prepared_count;
    size_t address;   /* index of the one that is tried first, modulo addresses: the last one that worked */
    bool wary;        /* the last one is not to be trusted: it is tried when no other one takes writes */
    size_t addresses; /* how many there were when it last connected */
    struct db_seeker seeker;
    bool passed_over; /* it has just left an old primary, and may try the next address at once */
    unsigned generation;
    bool in_transaction;
    bool untouched;        /* nothing has run in the transaction yet */
    bool stale;            /* the server refused a prepared statement: all must be prepared anew */
    bool identified;       /* this connection has told which database it leads to */
    bool identity_refused; /* the server refuses to tell */
    bool old_primary;      /* through a pooler: what answers is one, which another one has replaced */
    bool pipelined;        /* what was sent ends with a synchronization */
    bool settings_due;     /* through a pooler: the answer begins with that of the settings */
    uint8_t identity[DB_IDENTITY_SIZE];
    unsigned identity_changes; /* db_identity_changes, when it told */
    char error[DB_ERROR_SIZE];
    char context[DB_ERROR_SIZE];  /* of the last failure, as the server tells it */
    struct metric_memo durations; /* of statements that succeeded */
    struct metric_series *idle, *used;
    bool counted;          /* the connection is one of them */
    atomic_uint *connects; /* counts the connections of its pool; NULL: it is in none */
    /* Of one that borrows from a pool: */
    size_t slot;     /* the connection that it prefers */
    struct db *lent; /* during a transaction */
    bool reached;    /* there was a connection after the last use */
    bool renew;      /* the next use makes a new connection */
    /* Of one that is lent: */
    const struct db_query *settings; /* of the borrower's transactions */
};

/* Keeps the first line of a message for db_error. */
void db_set_error(struct db *db, const char *sqlstate, const char *message);

/* Closes the connection. */
void db_drop(struct db *db);

/* As db_lost, of a server that is silent, or is an old primary. The next attempt begins behind it. */
enum db_status db_leave(struct db *db, const char *why);

/* Closes the connection after a failure, and delays the next attempt to connect. Returns DB_UNAVAILABLE. */
enum db_status db_lost(struct db *db, const char *why);

/* Waits for the connection's socket until the deadline (negative: no limit). False when the deadline has passed. */
bool db_wait_socket(const struct db *db, short events, int64_t deadline_ms);

/* Resolves the options' hosts. Returns the number of addresses. When a name has none, *why is the reason. */
size_t db_addresses(const struct db_options *options, struct db_address out[static DB_MAX_ADDRESSES],
                    const char **why);

/* The search for the servers that the options name: those behind a pooler have another one. NULL without an identity. */
struct db_search *db_identity_search(struct db_identity *identity, bool pooler);

/* Whether a statement has succeeded since then. */
bool db_identity_used_since(struct db_identity *identity, int64_t began_ms);

/* Connects, unless that failed a moment ago. */
enum db_status db_connect(struct db *db);

/* Which database this is, as text. A standby has no timeline of its own. */
#define DB_IDENTITY_SQL                                                                                      \
    "system_identifier || '/' ||"                                                                            \
    "       CASE WHEN NOT pg_is_in_recovery()"                                                               \
    "            THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END || '/' ||"              \
    "       (SELECT oid FROM pg_database WHERE datname = current_database())"                                \
    "  FROM pg_control_system()"

/* Asks the server for its identity. An old primary is passed over, and the next attempt may follow at once. */
enum db_status db_identify(struct db *db);
/* Whether the connection leads to a database that another one has replaced: what it writes may be lost. */
bool db_is_outdated(const struct db *db);
/* Closes a connection to an old primary. The next attempt begins with the address behind it. Returns DB_UNAVAILABLE. */
enum db_status db_pass_over(struct db *db);

/* Collects the results of what was sent; sent is false when that failed. The last one is *out, or the first failure
 * decides: then the transaction is rolled back, or the connection closed. bounded: within the statement timeout. */
enum db_status db_finish(struct db *db, int sent, bool bounded, struct db_result **out);
/* After a failure: rolls back the transaction, and closes a connection whose state is unknown. */
void db_abandon(struct db *db, enum db_status status);
enum db_status db_simple(struct db *db, const char *sql, bool bounded);
void db_rollback(struct db *db);

/* The parameters of a statement as libpq takes them. */
struct db_values {
    int count;
    const char *values[DB_MAX_PARAMS];
    int lengths[DB_MAX_PARAMS], formats[DB_MAX_PARAMS];
    Oid types[DB_MAX_PARAMS];
};

/* Begins a transaction with the statement that sets what it needs. */
enum db_status db_begin_with(struct db *db, const char *settings);

/* Through a pooler: begins a transaction, sends a statement (0: failed), looks at each result that comes. */
enum db_status db_pooler_begin(struct db *db);
int db_pooler_send(struct db *db, const struct db_query *query, const struct db_values *values);
void db_pooler_note(struct db *db, const PGresult *result);

/* Connects if need be. */
enum db_status db_ensure_connected(struct db *db);

/* The connection for a statement or a transaction: its own, or a borrowed one. NULL when none was free in time. What it
 * returned is given back. What db.h tells about the last call is kept. */
struct db *db_lend(struct db *db);
void db_give_back(struct db *db, struct db *lent, enum db_status status);

/* Tells of the NOTIFYs that were read. True when there were any. */
bool db_tell_notifications(struct db *db);

/* Whoever borrows from a pool enters it once. Takes a connection for it; NULL when none was free in time, with the reason
 * in its error. */
void db_pool_enter(struct db *borrower);
struct db *db_pool_take(struct db *borrower);
void db_pool_give_back(struct db_pool *pool, struct db *db);

/* The status of a SQLSTATE. */
enum db_status db_classify(const char *sqlstate);

/* Whether the SQLSTATE says that the prepared statements of the connection are not what the server has. */
bool db_is_stale(const char *sqlstate);
