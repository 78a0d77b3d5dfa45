/* The table of OAuth clients. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "credentials.h"

#include <stdbool.h>
#include <stddef.h>

struct client {
    const char *id;
    const char *scope;
    char secret_hash[SECRET_HASH_SIZE];
    bool disabled;
};

/* Reads all clients into arena, sorted by id as by strcmp. */
enum db_status client_store_list(struct db *db, struct arena *arena, struct client **clients,
                                 size_t *count) MUST_CHECK;

/* *done is false when a client with this id already exists. */
enum db_status client_store_add(struct db *db, const struct client *client, bool *done) MUST_CHECK;

/* Replace the secret of a client, or disable it for good. *done is false when there is no client with this id. */
enum db_status client_store_rotate(struct db *db, const char *id, const char *secret_hash,
                                   bool *done) MUST_CHECK;
enum db_status client_store_disable(struct db *db, const char *id, bool *done) MUST_CHECK;
