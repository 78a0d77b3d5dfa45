/* order-svc token revoke. */
#include "token_command.h"

#include "client_command.h"
#include "common/base/trace.h"
#include "common/base/uuid.h"
#include "common/config/config.h"
#include "revocation_store.h"

#include <stdio.h>
#include <string.h>

static const char token_usage[] = "usage: order-svc token revoke ID           the token with this jti\n"
                                  "       order-svc token revoke --client ID  all tokens of the client\n";

static enum db_status revoke_one(struct db *db, const struct uuid *token_id, int64_t now_ms) {
    char correlation_id[UUID_TEXT_SIZE], traceparent[TRACEPARENT_SIZE];
    uuid_format(token_id, correlation_id);
    trace_adopt(NULL, traceparent);
    const struct token_revocation revocation = {
        .what = {.token_id = *token_id,
                 .expires_at = now_ms / 1000 + REVOCATION_LIFE_S, /* the longest it can be valid */
                 .issued_ms = REVOCATION_NO_TIME},
        .correlation_id = correlation_id,
        .traceparent = traceparent};
    const struct token_revocation *list[] = {&revocation};
    return revocation_store_add(db, list, 1);
}

/* The client keeps its secret and may get new tokens, so those that are issued from now on are good. */
static enum db_status revoke_all(struct db *db, const char *client_id, int64_t now_ms) {
    char correlation_id[UUID_TEXT_SIZE];
    struct uuid id = uuid_new();
    uuid_format(&id, correlation_id);
    const struct client_revocation end = {client_id, now_ms + 1, now_ms / 1000 + REVOCATION_LIFE_S};
    return revocation_store_end(db, &end, correlation_id);
}

static int token_revoke(struct db *db, const char *client_id, const struct uuid *token_id) {
    int64_t now_ms;
    enum db_status status = revocation_store_now(db, &now_ms);
    if (status == DB_OK)
        status = client_id ? revoke_all(db, client_id, now_ms) : revoke_one(db, token_id, now_ms);
    if (status != DB_OK) {
        fprintf(stderr, "Database error: %s\n", db_error(db));
        return 1;
    }
    fprintf(stderr, "Revoked.\n");
    return 0;
}

int token_command(const struct config *config, int argc, char *argv[]) {
    struct uuid token_id = {0};
    bool revoke = argc > 2 && strcmp(argv[1], "revoke") == 0;
    const char *client_id = revoke && argc == 4 && strcmp(argv[2], "--client") == 0 ? argv[3] : NULL;
    if (!client_id && !(revoke && argc == 3 && uuid_parse(argv[2], &token_id))) {
        fputs(token_usage, stderr);
        return 2;
    }
    if (client_id && !client_id_ok(client_id))
        return 2;
    struct db_options options;
    config_db(config, "order-svc token", &options);
    struct db *db = db_open(&options);
    if (!db) {
        fprintf(stderr, "Out of memory\n");
        return 1;
    }
    int code = token_revoke(db, client_id, &token_id);
    db_close(db);
    return code;
}
