/* Stores what TOKEN_REVOKED and CLIENT_TOKENS_REVOKED messages revoke. */
#include "revocation_consumer.h"

#include "app.h"
#include "common/auth/revocations.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/events/event.h"
#include "revocation_store.h"

#include <stdio.h>

static json_t *revocation_event(struct consumer_message *in, const char *type, const char *id_name,
                                struct uuid *id) {
    const struct queue_message *message = in->message;
    return event_parse(message->body, message->body_len, EVENT_TYPES(type), id_name, id, in->reason,
                       sizeof in->reason);
}

/* Reads an integer of at most max. *good becomes false when it is none, with the reason. */
static int64_t revocation_number(struct consumer_message *in, const json_t *event, const char *name,
                                 int64_t max, bool *good) {
    const json_t *value = json_object_get(event, name);
    if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= max)
        return json_integer_value(value);
    snprintf(in->reason, sizeof in->reason, "%s is not a time within the next 31 days", name);
    *good = false;
    return 0;
}

static const char *revocation_client_id(struct consumer_message *in, const json_t *event, struct arena *arena,
                                        bool *good) {
    const char *id = json_member_string(event, "clientId");
    if (id && json_text_plain(id, TOKEN_CLIENT_ID_SIZE - 1))
        return arena_strdup(arena, id);
    snprintf(in->reason, sizeof in->reason, "clientId is not 1 to 255 characters without control characters");
    *good = false;
    return NULL;
}

/* Both read a message into the next place of the batch. If it is not valid, its reason says why. The times are those of another
 * clock, so there is room. The client of a token is not known to a sender of the version before. */
static bool read_token_end(struct consumer_message *in, const json_t *event, int64_t now_s,
                           struct arena *arena, struct revocation *out) {
    bool good = true;
    out->client_id = NULL;
    out->issued_ms = REVOCATION_NO_TIME;
    out->expires_at = revocation_number(in, event, "expiresAt", now_s + 2 * REVOCATION_LIFE_S, &good);
    if (json_object_get(event, "clientId"))
        out->client_id = revocation_client_id(in, event, arena, &good);
    if (json_object_get(event, "issuedAt"))
        out->issued_ms = revocation_number(in, event, "issuedAt", (now_s + REVOCATION_LIFE_S) * 1000, &good);
    return good;
}

static bool read_client_end(struct consumer_message *in, const json_t *event, int64_t now_s,
                            struct arena *arena, struct client_revocation *out) {
    bool good = true;
    out->client_id = revocation_client_id(in, event, arena, &good);
    out->before_ms = revocation_number(in, event, "issuedBefore", (now_s + REVOCATION_LIFE_S) * 1000, &good);
    out->expires_at = revocation_number(in, event, "expiresAt", now_s + 2 * REVOCATION_LIFE_S, &good);
    return good;
}

/* Where there is no room for one more token, the tokens of its client that were issued until then end with it. */
static void make_room(const struct delivery_app *app, struct revocation_batch *batch) {
    const struct revocation *token = &batch->tokens[batch->token_count - 1];
    int64_t keep;
    if (!token->client_id || token->issued_ms == REVOCATION_NO_TIME ||
        !revocations_crowded(app->service.auth.revocations, token->client_id, &keep) || keep > 0)
        return;
    batch->clients[batch->client_count++] = (struct client_revocation){
        token->client_id, token->issued_ms + 1, token->issued_ms / 1000 + REVOCATION_LIFE_S};
    batch->token_count--;
}

/* told_ms receives when the event was written; 0 when it does not say so. */
static bool read_revocation(struct consumer_message *in, const struct delivery_app *app, int64_t now_s,
                            struct arena *arena, struct revocation_batch *batch, int64_t *told_ms) {
    struct revocation *token = &batch->tokens[batch->token_count];
    struct client_revocation *client = &batch->clients[batch->client_count];
    json_t *event = revocation_event(in, "CLIENT_TOKENS_REVOKED", NULL, NULL);
    bool of_client = event, good;
    if (!event)
        event = revocation_event(in, "TOKEN_REVOKED", "tokenId", &token->token_id);
    if (of_client)
        good = read_client_end(in, event, now_s, arena, client);
    else
        good = event && read_token_end(in, event, now_s, arena, token);
    const char *time = json_member_string(event, "timestamp");
    if (!time || !clock_parse(time, told_ms))
        *told_ms = 0;
    json_decref(event);
    if (!good)
        return false;
    if (of_client) {
        batch->client_count += client->expires_at > now_s;
    } else if (token->expires_at > now_s) {
        batch->token_count++;
        make_room(app, batch);
    }
    return true;
}

static void measure_ends(const struct delivery_app *app, const int64_t told_ms[], size_t n) {
    int64_t now = clock_epoch_ms();
    for (size_t i = 0; i < n; i++)
        if (told_ms[i] > 0 && told_ms[i] <= now)
            metric_observe(app->revocation_delay, (now - told_ms[i]) * 1000000, NULL);
}

enum db_status revocation_consumer_handle(void *app, struct db *db, struct consumer_message messages[],
                                          size_t n) {
    const struct delivery_app *delivery = app;
    struct revocation_batch batch = {0};
    struct arena arena = {0};
    int64_t now_s = clock_epoch_ms() / 1000, told_ms[CONSUMER_BATCH];
    for (size_t i = 0; i < n; i++)
        messages[i].outcome = read_revocation(&messages[i], delivery, now_s, &arena, &batch, &told_ms[i])
                                  ? CONSUMER_DONE
                                  : CONSUMER_HOPELESS;
    enum db_status status = arena.failed ? DB_NO_MEMORY : revocation_store_keep(db, &batch);
    if (status == DB_OK) {
        revocations_add(delivery->service.auth.revocations, batch.tokens, batch.token_count);
        revocations_end(delivery->service.auth.revocations, batch.clients, batch.client_count);
        measure_ends(delivery, told_ms, n);
    }
    arena_free(&arena);
    return status;
}
