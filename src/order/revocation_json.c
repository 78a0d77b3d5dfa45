/* Writes the events of revocations. */
#include "revocation_json.h"

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/json_write.h"

#include <string.h>

static void revocation_json_open(struct buf *out, const char *type, const struct uuid *event_id) {
    buf_clear(out);
    buf_printf(out, "{\"eventType\":\"%s\",\"eventId\":", type);
    json_append_uuid(out, event_id);
}

static void revocation_json_close(struct buf *out) {
    buf_str(out, ",\"timestamp\":");
    json_append_time(out, clock_epoch_ms());
    buf_char(out, '}');
}

static void revocation_json_client(struct buf *out, const char *client_id) {
    buf_str(out, ",\"clientId\":");
    json_append_text(out, client_id);
}

void revocation_token_json(struct buf *out, const struct revocation *revocation,
                           const struct uuid *event_id) {
    revocation_json_open(out, "TOKEN_REVOKED", event_id);
    buf_str(out, ",\"tokenId\":");
    json_append_uuid(out, &revocation->token_id);
    buf_printf(out, ",\"expiresAt\":%lld", (long long)revocation->expires_at);
    if (revocation->client_id)
        revocation_json_client(out, revocation->client_id);
    if (revocation->issued_ms != REVOCATION_NO_TIME)
        buf_printf(out, ",\"issuedAt\":%lld", (long long)revocation->issued_ms);
    revocation_json_close(out);
}

void revocation_client_json(struct buf *out, const struct client_revocation *end,
                            const struct uuid *event_id) {
    revocation_json_open(out, "CLIENT_TOKENS_REVOKED", event_id);
    revocation_json_client(out, end->client_id);
    buf_printf(out, ",\"issuedBefore\":%lld,\"expiresAt\":%lld", (long long)end->before_ms,
               (long long)end->expires_at);
    revocation_json_close(out);
}

struct uuid revocation_client_group(const char *client_id) {
    uint8_t hash[SHA256_SIZE];
    struct uuid group;
    sha256(client_id, strlen(client_id), hash);
    memcpy(group.bytes, hash, sizeof group.bytes);
    return group;
}
