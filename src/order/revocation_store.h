/* The table revoked_tokens, and its events in revocation_outbox. Connections and statuses are those of
 * common/db/db.h. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stddef.h>

struct token_revocation {
    struct revocation what;
    const char *correlation_id, *traceparent;
};

/* Revokes tokens, each with its event, in one transaction. Duplicates are harmless. */
enum db_status revocation_store_add(struct db *db, const struct token_revocation *list[],
                                    size_t n) MUST_CHECK;
