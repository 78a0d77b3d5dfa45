/* The rules of webhooks: secrets, signatures, and when to try again. */
#include "webhook.h"

#include "common/base/backoff.h"
#include "common/base/buf.h"
#include "common/base/digest.h"
#include "common/base/random.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum {
    RETRY_AFTER_MOST_MS = 3600000, /* that a receiver may ask for */
    PAUSE_BASE_MS = 500,
    PAUSE_MOST_MS = 60000,
};

bool webhook_wants(const char *events, const char *type) {
    size_t len = strlen(type);
    for (const char *at = events; at && *at; at += strspn(at, " ")) {
        size_t width = strcspn(at, " ");
        if (width == len && memcmp(at, type, len) == 0)
            return true;
        at += width;
    }
    return !events;
}

bool webhook_secret_new(const char *key, const struct uuid *id, char shown[static WEBHOOK_SECRET_SIZE],
                        char sealed[static WEBHOOK_SEALED_SIZE]) {
    uint8_t secret[WEBHOOK_SECRET_BYTES], box[SEALED_SIZE(WEBHOOK_SECRET_BYTES)];
    random_bytes(secret, sizeof secret);
    memcpy(shown, WEBHOOK_SECRET_PREFIX, sizeof WEBHOOK_SECRET_PREFIX);
    base64_encode(secret, sizeof secret, shown + strlen(WEBHOOK_SECRET_PREFIX));
    bool ok = seal(key, id->bytes, sizeof id->bytes, secret, sizeof secret, box);
    if (ok)
        base64url_encode(box, sizeof box, sealed);
    OPENSSL_cleanse(secret, sizeof secret);
    return ok;
}

bool webhook_secret_open(const char *key, const struct uuid *id, const char *sealed,
                         uint8_t secret[static WEBHOOK_SECRET_BYTES]) {
    uint8_t box[SEALED_SIZE(WEBHOOK_SECRET_BYTES)];
    size_t len = strlen(sealed), box_len;
    return len == WEBHOOK_SEALED_SIZE - 1 && base64url_decode(sealed, len, box, &box_len) &&
           box_len == sizeof box &&
           seal_open(key, id->bytes, sizeof id->bytes, box, WEBHOOK_SECRET_BYTES, secret);
}

bool webhook_sign(const uint8_t secret[static WEBHOOK_SECRET_BYTES], const char *id, int64_t time_s,
                  const char *body, char out[static WEBHOOK_SIGNATURE_SIZE]) {
    struct buf signed_text = {0};
    uint8_t mac[SHA256_SIZE];
    buf_printf(&signed_text, "%s.%lld.", id, (long long)time_s);
    buf_str(&signed_text, body);
    bool ok = !signed_text.failed;
    if (ok) {
        hmac_sha256(secret, WEBHOOK_SECRET_BYTES, signed_text.data, signed_text.len, mac);
        memcpy(out, "v1,", sizeof "v1,");
        base64_encode(mac, sizeof mac, out + strlen("v1,"));
    }
    buf_free(&signed_text);
    return ok;
}

enum webhook_result webhook_judge(int status) {
    switch (status) {
    case 0:
    case 429:
    case 502:
    case 503:
    case 504:
        return WEBHOOK_UNWELL;
    case 410:
        return WEBHOOK_GONE;
    default:
        return status / 100 == 2 ? WEBHOOK_DELIVERED : WEBHOOK_REFUSED;
    }
}

static int64_t at_least(int64_t ms, int64_t retry_after_ms) {
    int64_t asked = retry_after_ms < RETRY_AFTER_MOST_MS ? retry_after_ms : RETRY_AFTER_MOST_MS;
    return ms > asked ? ms : asked;
}

int64_t webhook_delay_ms(const struct webhook_schedule *schedule, int64_t failures, int64_t retry_after_ms) {
    if (failures > (int64_t)schedule->count)
        return -1;
    int64_t pause = schedule->pauses[failures - 1];
    return at_least(pause + (int64_t)random_below((uint64_t)pause / 10 + 1), retry_after_ms);
}

int64_t webhook_pause_ms(int64_t doubt, int64_t retry_after_ms) {
    return at_least(backoff_ms((unsigned)doubt, PAUSE_BASE_MS, PAUSE_MOST_MS), retry_after_ms);
}
