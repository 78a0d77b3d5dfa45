/* Webhooks and their deliveries as JSON, both ways. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/callout/callout.h"
#include "common/http/reply.h"
#include "webhook.h"
#include "webhook_delivery.h"

/* Reads the body of POST /webhooks (complete: url is required) or of PATCH /webhooks/:id. Strings are in arena. Adds every
 * fault to faults. True when there was none. When out of memory, input is incomplete and arena->failed is set. */
bool webhook_from_json(const char *body, size_t len, bool complete, const struct callout_policy *policy,
                       struct arena *arena, struct webhook_input *input,
                       struct http_faults *faults) MUST_CHECK;

/* A webhook as GET shows it, with its secret when that is new (else NULL). */
void webhook_json(struct buf *out, const struct webhook *webhook, const char *secret);

void webhook_delivery_json(struct buf *out, const struct webhook_delivery *delivery);

/* The body of a ping. */
void webhook_ping_json(struct buf *out, const struct uuid *delivery_id, const struct uuid *webhook_id,
                       int64_t now_ms);
