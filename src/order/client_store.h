/* The table of OAuth clients. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "credentials.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    const char *id;
    const char *scope;
    char secret_hash[SECRET_HASH_SIZE];
    char old_secret_hash
        [SECRET_HASH_SIZE]; /* of the secret before the last rotation; "": it is not valid any more */
    bool disabled;
    int64_t from_ms; /* tokens issued earlier are revoked; 0: none are */
};

/* Reads all clients into arena, sorted by id as by strcmp. */
enum db_status client_store_list(struct db *db, struct arena *arena, struct client **clients,
                                 size_t *count) MUST_CHECK;

/* *done is false when a client with this id already exists. */
enum db_status client_store_add(struct db *db, const struct client *client, bool *done) MUST_CHECK;

/* The following change one client. *done is false when there is no client with this id. Each may be part of a
 * transaction. */

/* Replaces the secret. The old one stays valid for grace_ms. */
enum db_status client_store_rotate(struct db *db, const char *id, const char *secret_hash, int64_t grace_ms,
                                   bool *done) MUST_CHECK;
/* Ends the grace of the old secret. */
enum db_status client_store_retire(struct db *db, const char *id, bool *done) MUST_CHECK;
enum db_status client_store_disable(struct db *db, const char *id, bool disabled, bool *done) MUST_CHECK;
enum db_status client_store_delete(struct db *db, const char *id, bool *done) MUST_CHECK;
/* old_scope receives the scope that is replaced. */
enum db_status client_store_scope(struct db *db, const char *id, const char *scope,
                                  char old_scope[static TOKEN_SCOPE_SIZE], bool *done) MUST_CHECK;
