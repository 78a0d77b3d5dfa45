/* A webhook: its types and rules, what a delivery is signed with, and what follows from an attempt. Pure. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/base64.h"
#include "common/base/seal.h"
#include "common/base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_MAX_OF_CLIENT 20
#define WEBHOOK_MAX_DESCRIPTION 255
#define WEBHOOK_OLD_SECRET_MS (INT64_C(24) * 3600 * 1000) /* validity of a secret after its rotation */
#define WEBHOOK_PING "webhook.ping"

struct webhook { /* strings belong to the arena it was made in */
    struct uuid id;
    const char *client_id, *url;
    const char *description; /* NULL: none */
    const char *events;      /* types, separated by blanks; NULL: all */
    bool enabled;
    const char *reason;          /* why we disabled it; NULL: we did not */
    int64_t old_secret_until_ms; /* 0: only one secret is valid */
    int64_t created_ms, updated_ms;
};

/* What a client wants of a webhook. A member that was not sent is false and NULL. */
struct webhook_input {
    bool has_url, has_description, has_events, has_enabled;
    const char *url, *description, *events;
    bool enabled;
};

/* Whether a webhook wants events of a type. */
bool webhook_wants(const char *events, const char *type) MUST_CHECK;

/* Secrets, as Standard Webhooks has them: "whsec_" and 32 random bytes in base64. They are stored sealed, under the id of
 * their webhook. */
#define WEBHOOK_SECRET_BYTES 32
#define WEBHOOK_SECRET_PREFIX "whsec_"
#define WEBHOOK_SECRET_SIZE (sizeof WEBHOOK_SECRET_PREFIX + BASE64_SIZE(WEBHOOK_SECRET_BYTES))
#define WEBHOOK_SEALED_SIZE BASE64URL_SIZE(SEALED_SIZE(WEBHOOK_SECRET_BYTES))

/* Makes a secret: for its owner, and for the table. False when out of memory. */
bool webhook_secret_new(const char *key, const struct uuid *id, char shown[static WEBHOOK_SECRET_SIZE],
                        char sealed[static WEBHOOK_SEALED_SIZE]) MUST_CHECK;

/* False when the key is not the one with which it was sealed. */
bool webhook_secret_open(const char *key, const struct uuid *id, const char *sealed,
                         uint8_t secret[static WEBHOOK_SECRET_BYTES]) MUST_CHECK;

/* Writes "v1," and the signature of a delivery. False when out of memory. */
#define WEBHOOK_SIGNATURE_SIZE (sizeof "v1," + BASE64_SIZE(32))
bool webhook_sign(const uint8_t secret[static WEBHOOK_SECRET_BYTES], const char *id, int64_t time_s,
                  const char *body, char out[static WEBHOOK_SIGNATURE_SIZE]) MUST_CHECK;

/* What became of an attempt. */
enum webhook_result {
    WEBHOOK_DELIVERED, /* 2xx */
    WEBHOOK_REFUSED,   /* another answer: about this delivery, as far as we know */
    WEBHOOK_UNWELL,    /* no answer, 429, 502, 503, 504: the receiver takes nothing at the moment */
    WEBHOOK_GONE,      /* 410: the receiver wants nothing any more */
};

enum webhook_result webhook_judge(int status); /* 0: there was no answer */

/* The pauses of WEBHOOK_SCHEDULE, in milliseconds. */
struct webhook_schedule {
    const int64_t *pauses;
    size_t count;
};

/* How long a delivery waits after so many failures (at least 1), with up to a tenth of it as jitter. At least what the
 * receiver asked for, within bounds. -1: it was the last attempt. */
int64_t webhook_delay_ms(const struct webhook_schedule *schedule, int64_t failures, int64_t retry_after_ms);

/* How long nothing is sent to a receiver that was unwell, and whose doubt was so large before. */
int64_t webhook_pause_ms(int64_t doubt, int64_t retry_after_ms);
