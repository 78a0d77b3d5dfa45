/* The revoked tokens by their clients: of each client the set of those that were revoked one by one, and the time before
 * which all are revoked. Pure; not thread-safe. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "revocation_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revoked_client {
    char *id;          /* "": of tokens whose client is not known */
    int64_t before_ms; /* tokens issued earlier are revoked; REVOCATION_NO_TIME: none */
    int64_t before_expires_at;
    struct revocation_set tokens;
};

struct revoked_clients {         /* zero-initialise */
    struct revoked_client *list; /* sorted by id */
    size_t count, capacity;
    size_t tokens; /* of all clients; includes some that have expired */
};

/* The client, or NULL when nothing of it was revoked. */
const struct revoked_client *revoked_clients_find(const struct revoked_clients *clients, const char *id);

/* Both are idempotent, and come to the same in any order. False when out of memory; then they did nothing. */
bool revoked_clients_add(struct revoked_clients *clients, const struct revocation *revocation,
                         int64_t now_s) MUST_CHECK;
bool revoked_clients_end(struct revoked_clients *clients, const struct client_revocation *end,
                         int64_t now_s) MUST_CHECK;

bool revoked_clients_has(const struct revoked_clients *clients, const char *client_id,
                         const struct uuid *token_id, int64_t issued_ms);

/* Removes what has expired. */
void revoked_clients_tidy(struct revoked_clients *clients, int64_t now_s);

void revoked_clients_free(struct revoked_clients *clients);
