/* The table delivery_revoked_tokens. Connections and statuses as in common/db.h. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stddef.h>

/* Succeeds when revoked tokens can be written: the table is there, and the server is no standby. */
extern const struct db_query revocation_store_probe;

/* Keeps revoked tokens, as one transaction; those that are there already change nothing. */
enum db_status revocation_store_keep(struct db *db, const struct revocation list[], size_t n) MUST_CHECK;
