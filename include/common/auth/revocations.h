/* Revoked tokens. Each daemon has a table of them, where they stay until they would have expired, and each
 * replica keeps what it holds in memory, where the guard looks. A thread reads what is new several times a
 * second. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REVOCATIONS_MAX 262144 /* no more are accepted at a time: they take up to 25 MB of memory */

struct revocations;

struct revocation {
    struct uuid token_id;
    int64_t expires_at; /* the token's, epoch seconds */
};

/* Reads the table before it returns; while that fails the thread tries again. NULL when out of memory or threads.
 * The table has: token_id uuid, expires_at timestamptz, written_by xid8, which is the transaction that wrote it. */
struct revocations *revocations_start(const char *table, const struct db_options *db);
void revocations_stop(struct revocations *revocations); /* NULL is fine */

/* TOKEN_OK, TOKEN_REVOKED, or TOKEN_UNDECIDED when the table could not be read yet. Any thread, never waits
 * for the database. */
enum token_status revocations_check(struct revocations *revocations, const struct uuid *token_id) MUST_CHECK;

/* Makes known in this replica at once what was committed to the table. Any thread. */
void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n);

/* Whether there are REVOCATIONS_MAX: then none should be put into the table. Any thread. */
bool revocations_full(struct revocations *revocations);
