/* The table delivery_revoked_tokens. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stddef.h>

/* Succeeds when revoked tokens can be written: the table exists and the server is not a standby. */
extern const struct db_query revocation_store_probe;

/* Stores revoked tokens in one transaction. Duplicates are harmless. */
enum db_status revocation_store_keep(struct db *db, const struct revocation list[], size_t n) MUST_CHECK;
