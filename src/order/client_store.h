/* The table of OAuth clients. */
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

/* All clients, by id in strcmp's order, in arena. */
enum db_status client_store_list(struct db *db, struct arena *arena, struct client **clients,
                                 size_t *count) MUST_CHECK;

/* *done: false when a client with this id exists already. */
enum db_status client_store_add(struct db *db, const struct client *client, bool *done) MUST_CHECK;

/* Replaces the secret, or ends a client for good; *done: false when there is none with this id. */
enum db_status client_store_rotate(struct db *db, const char *id, const char *secret_hash,
                                   bool *done) MUST_CHECK;
enum db_status client_store_disable(struct db *db, const char *id, bool *done) MUST_CHECK;
