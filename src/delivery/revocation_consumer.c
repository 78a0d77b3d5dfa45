/* Stores the revoked tokens of TOKEN_REVOKED messages. */
#include "revocation_consumer.h"

#include "app.h"
#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/events/event.h"
#include "revocation_store.h"

#include <stdio.h>

#define LONGEST_LIFE_S (INT64_C(31) * 24 * 3600) /* a day more than the maximum of JWT_EXPIRES_IN */

/* Reads the revoked token of a message. If the message is not a valid TOKEN_REVOKED, its reason says why. */
static enum consumer_outcome read_revocation(struct consumer_message *in, int64_t now_s,
                                             struct revocation *out) {
    const struct queue_message *message = in->message;
    json_t *event = event_parse(message->body, message->body_len, "TOKEN_REVOKED", "tokenId", &out->token_id,
                                in->reason, sizeof in->reason);
    if (!event)
        return CONSUMER_HOPELESS;
    const json_t *expiry = json_object_get(event, "expiresAt");
    bool good = json_is_integer(expiry) && json_integer_value(expiry) <= now_s + LONGEST_LIFE_S;
    out->expires_at = json_integer_value(expiry);
    json_decref(event);
    if (good)
        return CONSUMER_DONE;
    snprintf(in->reason, sizeof in->reason, "expiresAt is not a time within the next 31 days");
    return CONSUMER_HOPELESS;
}

enum db_status revocation_consumer_handle(void *app, struct db *db, struct consumer_message messages[],
                                          size_t n) {
    const struct delivery_app *delivery = app;
    struct revocation revoked[QUEUE_BATCH];
    int64_t now_s = clock_epoch_ms() / 1000;
    bool full = revocations_full(delivery->service.auth.revocations);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        messages[i].outcome = read_revocation(&messages[i], now_s, &revoked[count]);
        if (messages[i].outcome != CONSUMER_DONE || revoked[count].expires_at <= now_s)
            continue;
        if (full) {
            messages[i].outcome = CONSUMER_RETRY;
            snprintf(messages[i].reason, sizeof messages[i].reason, "too many revoked tokens");
        } else {
            count++;
        }
    }
    enum db_status status = count ? revocation_store_keep(db, revoked, count) : DB_OK;
    if (status == DB_OK)
        revocations_add(delivery->service.auth.revocations, revoked, count);
    return status;
}
