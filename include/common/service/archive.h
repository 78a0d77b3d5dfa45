/* Taking out of the database what ended long ago: batch by batch, from the oldest on, and first written to a file.
 *
 * A batch is one transaction: it is read, written, and deleted. So what a file does not have is still in the database. After a
 * crash in between, a file may have a batch twice. One process at a time works on the orders of a database, and one on its
 * shipments. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/db/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct archive_file;

enum { ARCHIVE_BATCH = 200 };

/* A walk from the oldest on. Zero-initialise it; one thread at a time. */
struct archive {
    int64_t before_ms;         /* what was changed since then stays */
    struct archive_file *file; /* NULL: nothing is written */
    struct uuid behind;        /* of an order: the walk goes on behind it */
    size_t taken;              /* out of the database, by the whole walk */
    bool more;                 /* another step may find some */
    bool busy;                 /* another process works on it, so nothing was done */
};

/* Takes out one batch, in the transaction that it is called in: picks, locks, writes with archive_write, deletes. *taken, which is 0,
 * receives how many. */
typedef enum db_status archive_step(struct db *db, struct archive *archive, size_t *taken);

/* What a daemon has to archive. */
struct archive_kind {
    const char *command; /* "order-svc archive" */
    const char *what;    /* "order(s)" */
    archive_step *step;
};

/* One step in a transaction of its own. After any other status than DB_OK the walk is where it was, and nothing was taken, unless it is
 * DB_UNAVAILABLE: then nobody knows. */
enum db_status archive_take(struct db *db, const struct archive_kind *kind,
                            struct archive *archive) MUST_CHECK;

/* For a step, in its transaction: makes sure that no other process is at it, then runs pick: a query of ids, whose parameters are
 * the id to begin behind, the lowest id that is too new, the time in before_ms, and how many. lock names what is archived. Moves the
 * walk on. *n receives the number of ids. */
enum db_status archive_pick(struct db *db, const char *lock, const struct db_query *pick,
                            struct archive *archive, struct uuid ids[static ARCHIVE_BATCH],
                            size_t *n) MUST_CHECK;

/* For a step: writes lines to the file, and waits until they are on the disk. False, with a message on stderr, when that
 * fails. */
bool archive_write(const struct archive *archive, const struct buf *lines) MUST_CHECK;

/* A daemon's part: takes out, and writes nowhere, what is older than retention_ms; 0: nothing ever is. Returns the milliseconds until
 * the next step. It rests for as long as it works. */
int64_t archive_retention(struct archive *archive, const struct archive_kind *kind, int64_t retention_ms,
                          struct db *db, enum db_status *status);

/* The subcommand "archive --older-than DURATION FILE". argv[0] is "archive". Returns the exit code: 0 when all was taken out, 1 when
 * something is left (run it again), 2 when the command line is wrong. */
int archive_command(const struct config *config, const struct archive_kind *kind, int argc, char *argv[]);
