/* Which database the process works with: the cluster, its timeline and the database in it.
 *
 * A failover and a restore change it. What a process or Redis remembers of a database is only true of one identity.
 * It is read with each new connection; through a pooler, with each transaction. Any thread. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define DB_IDENTITY_SIZE 16

struct db_identity; /* of all of the process's connections */

/* NULL when out of memory. */
struct db_identity *db_identity_new(void);
void db_identity_free(struct db_identity *identity); /* NULL is fine */

/* The identity as of the last connection, hashed. False when no connection has told it yet; NULL never tells. */
bool db_identity_get(struct db_identity *identity, uint8_t out[static DB_IDENTITY_SIZE]) MUST_CHECK;

/* How often it has changed: what was remembered when it was another number is void. */
unsigned db_identity_changes(const struct db_identity *identity);

/* How long an earlier timeline of the same database is an old primary, since the later one was last in use. After that
 * it is one that was restored. */
#define DB_IDENTITY_FENCE_MS 60000

/* A connection has told the identity of its database, as text, at now_ms of clock_mono_ms. out receives it hashed. A
 * change is logged. *changes receives db_identity_changes as of now. False when it is that of an old primary, which
 * another one has replaced: then nothing is changed. */
bool db_identity_note(struct db_identity *identity, const char *text, int64_t now_ms,
                      uint8_t out[static DB_IDENTITY_SIZE], unsigned *changes) MUST_CHECK;

/* The database is in use at now_ms. changes: db_identity_changes, when the connection told its identity. */
void db_identity_confirm(struct db_identity *identity, unsigned changes, int64_t now_ms);

struct db;

/* The identity of the database that this connection leads to: what was read or written there belongs to it. False when
 * it is not known. */
bool db_identity_of(const struct db *db, uint8_t out[static DB_IDENTITY_SIZE]) MUST_CHECK;
