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

/* A connection has told the identity of its database, as text. out receives it hashed. A change is logged. Returns
 * db_identity_changes as of now. */
unsigned db_identity_note(struct db_identity *identity, const char *text,
                          uint8_t out[static DB_IDENTITY_SIZE]);

struct db;

/* The identity of the database that this connection leads to: what was read or written there belongs to it. False when
 * it is not known. */
bool db_identity_of(const struct db *db, uint8_t out[static DB_IDENTITY_SIZE]) MUST_CHECK;
