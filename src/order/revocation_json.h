/* The events of revocations: TOKEN_REVOKED and CLIENT_TOKENS_REVOKED. Pure. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/buf.h"
#include "common/base/uuid.h"

/* Both replace what is in out. */
void revocation_token_json(struct buf *out, const struct revocation *revocation, const struct uuid *event_id);
void revocation_client_json(struct buf *out, const struct client_revocation *end,
                            const struct uuid *event_id);

/* The message group of a client's events. Those of tokens are in the group of the token's id. */
struct uuid revocation_client_group(const char *client_id);
