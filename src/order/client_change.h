/* Changes of OAuth clients, as one transaction with the end of their tokens. */
#pragma once

#include "client_store.h"
#include "common/base/attributes.h"

struct client_change {
    const char *id;
    const char *secret_hash; /* of a rotation */
    int64_t grace_ms;        /* of a rotation: how long the old secret stays valid */
    const char *scope;       /* of a change of scope */
    bool ends;               /* whether its tokens are revoked; may also be set by the change itself */
    bool done;               /* out: false when there is no such client */
};

typedef enum db_status client_change_fn(struct db *db, struct client_change *change);

client_change_fn client_change_rotate, client_change_retire, client_change_disable, client_change_enable,
    client_change_delete;
/* Revokes the tokens when they have a scope that the client no longer has. */
client_change_fn client_change_scope;

/* Applies a change and, if it ends the tokens of the client, revokes those that were issued until now and those that
 * replicas issue before they know of the change. */
enum db_status client_change_run(struct db *db, client_change_fn *apply,
                                 struct client_change *change) MUST_CHECK;
