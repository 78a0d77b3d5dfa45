/* A change of a client and the end of its tokens. */
#include "client_change.h"

#include "clients.h"
#include "common/base/uuid.h"
#include "revocation_store.h"

enum db_status client_change_rotate(struct db *db, struct client_change *change) {
    return client_store_rotate(db, change->id, change->secret_hash, change->grace_ms, &change->done);
}

enum db_status client_change_retire(struct db *db, struct client_change *change) {
    return client_store_retire(db, change->id, &change->done);
}

enum db_status client_change_disable(struct db *db, struct client_change *change) {
    return client_store_disable(db, change->id, true, &change->done);
}

enum db_status client_change_enable(struct db *db, struct client_change *change) {
    return client_store_disable(db, change->id, false, &change->done);
}

enum db_status client_change_delete(struct db *db, struct client_change *change) {
    return client_store_delete(db, change->id, &change->done);
}

enum db_status client_change_scope(struct db *db, struct client_change *change) {
    char old[TOKEN_SCOPE_SIZE], narrowed[TOKEN_SCOPE_SIZE];
    enum db_status status = client_store_scope(db, change->id, change->scope, old, &change->done);
    if (status == DB_OK && change->done)
        change->ends |= !scope_narrow(change->scope, old, narrowed);
    return status;
}

struct client_change_work {
    client_change_fn *apply;
    struct client_change *change;
};

static enum db_status end_tokens_of_client(struct db *db, const char *id) {
    int64_t now_ms;
    char event[UUID_TEXT_SIZE];
    struct uuid event_id = uuid_new();
    uuid_format(&event_id, event);
    enum db_status status = revocation_store_now(db, &now_ms);
    if (status != DB_OK)
        return status;
    int64_t before_ms = now_ms + 2 * (int64_t)CLIENTS_MAX_AGE_MS;
    const struct client_revocation end = {id, before_ms, before_ms / 1000 + REVOCATION_LIFE_S};
    return revocation_store_end(db, &end, event);
}

static enum db_status client_change_apply(struct db *db, void *arg) {
    const struct client_change_work *work = arg;
    enum db_status status = work->apply(db, work->change);
    if (status == DB_OK && work->change->done && work->change->ends)
        status = end_tokens_of_client(db, work->change->id);
    return status;
}

enum db_status client_change_run(struct db *db, client_change_fn *apply, struct client_change *change) {
    struct client_change_work work = {apply, change};
    return db_transaction(db, client_change_apply, &work);
}
