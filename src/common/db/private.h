/* What the files of a connection share: connection.c connects, db.c runs statements, result.c reads their rows. */
#pragma once

#include "common/db/db.h"

#include <libpq-fe.h>

enum {
    DB_GRACE_MS = 1000,   /* how much longer than the server's own statement timeout we wait */
    DB_MAX_PREPARED = 32, /* statements of one connection: there are fewer queries in a daemon */
    DB_ERROR_SIZE = 320,
};

struct db {
    struct db_options options;
    PGconn *conn;                          /* NULL: not connected */
    const char *prepared[DB_MAX_PREPARED]; /* names of the statements this connection knows */
    size_t prepared_count;
    int64_t retry_at_ms; /* no connecting before */
    unsigned generation;
    bool in_transaction;
    char error[DB_ERROR_SIZE];
};

/* Keeps the first line of a message for db_error. */
void db_set_error(struct db *db, const char *sqlstate, const char *message);

/* Gives the connection up. */
void db_drop(struct db *db);

/* The same after a failure: the server is left alone for a moment. Returns DB_UNAVAILABLE. */
enum db_status db_lost(struct db *db, const char *why);

/* Waits for the connection's socket until the deadline (negative: none); false when it passed. */
bool db_wait_socket(const struct db *db, short events, int64_t deadline_ms);

/* Connects if need be. */
enum db_status db_ensure_connected(struct db *db);
