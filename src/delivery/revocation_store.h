/* The tables delivery_revoked_tokens and delivery_revoked_clients. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "common/events/consumer.h"

#include <stddef.h>

/* Succeeds when revoked tokens can be written: the tables exist and the server is not a standby. */
extern const struct db_query revocation_store_probe;

/* What the messages of a batch revoke. */
struct revocation_batch {
    struct revocation tokens[CONSUMER_BATCH];
    struct client_revocation clients[CONSUMER_BATCH];
    size_t token_count, client_count;
};

/* Stores a batch in one transaction. Removes the rows of tokens that end with others of their client. Duplicates are
 * harmless, and so is the order. */
enum db_status revocation_store_keep(struct db *db, struct revocation_batch *batch) MUST_CHECK;
