/* Revoked tokens. Each daemon has a table of them. A token stays there until it would have expired. Each replica
 * keeps a copy of the table in memory, where the guard looks. A thread loads new rows several times a second. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REVOCATIONS_MAX 262144 /* maximum number at a time; they take up to 25 MB of memory */

struct revocations;

struct revocation {
    struct uuid token_id;
    int64_t expires_at; /* when the token expires, in epoch seconds */
};

/* Loads the table once before it returns. If that fails, the thread tries again. NULL when out of memory or
 * threads. table is borrowed. It has the columns token_id uuid, expires_at timestamptz, and written_by xid8, the id
 * of the transaction that wrote the row. */
struct revocations *revocations_start(const char *table, const struct db_options *db);
void revocations_stop(struct revocations *revocations); /* NULL is fine */

/* TOKEN_OK, TOKEN_REVOKED, or TOKEN_UNDECIDED while the table has not been loaded yet. Any thread. Never waits for
 * the database. */
enum token_status revocations_check(struct revocations *revocations, const struct uuid *token_id) MUST_CHECK;

/* Adds revocations that were committed to the table, so that this replica knows them immediately. Any thread. */
void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n);

/* Whether REVOCATIONS_MAX is reached. Then no more should be written to the table. Any thread. */
bool revocations_full(struct revocations *revocations);
