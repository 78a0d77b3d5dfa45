/* The tables revoked_tokens and revoked_clients, and their events in revocation_outbox. Connections and statuses are
 * those of common/db/db.h. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/db/walk.h"

#include <stddef.h>

struct token_revocation {
    struct revocation what;
    const char *correlation_id, *traceparent;
};

/* Revokes tokens, each with its event, in one transaction. Duplicates are harmless. */
enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[],
                                    size_t n) MUST_CHECK;

/* Revokes all tokens of a client that were issued before before_ms, with an event. Removes the rows of tokens that are
 * among them, and wakes the relay. May be part of a transaction. Duplicates are harmless. */
enum db_status revocation_store_end(struct db *db, const struct client_revocation *end,
                                    const char *correlation_id) MUST_CHECK;

/* Does the same with the oldest tokens of a client, so that no more than keep rows remain of those that were revoked by
 * their ids. *end receives what was revoked. *ended is false when there were not so many. */
enum db_status revocation_store_trim(struct db *db, const char *client_id, int64_t keep,
                                     const char *correlation_id, struct client_revocation *end,
                                     bool *ended) MUST_CHECK;

/* The time of the database, which all replicas share, in milliseconds since the epoch. */
enum db_status revocation_store_now(struct db *db, int64_t *now_ms) MUST_CHECK;

/* Publishes again, in one transaction, what was revoked and has been silent for after_ms, because the queue may have
 * lost it. Each is due again after as much time as has passed since it was revoked. Takes at most
 * REVOCATION_REPEAT_LIMIT of either kind, and goes on where the walks of the two kinds are. *count receives how many there
 * were. */
#define REVOCATION_REPEAT_LIMIT 100
enum db_status revocation_store_repeat(struct db *db, int64_t after_ms, struct db_walk walks[static 2],
                                       size_t *count) MUST_CHECK;
