/* The SQL of webhooks, as their clients see them. Connections and statuses are those of common/db/db.h. A webhook of
 * another client is not found. */
#pragma once

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/db/db.h"
#include "webhook.h"
#include "webhook_delivery.h"

#include <stddef.h>

/* *done is false when the client has WEBHOOK_MAX_OF_CLIENT already. input must have a url. sealed is its secret. */
enum db_status webhook_store_add(struct db *db, const struct uuid *id, const char *client_id,
                                 const struct webhook_input *input, const char *sealed, struct arena *arena,
                                 struct webhook *webhook, bool *done) MUST_CHECK;

/* The following change or read one webhook. *done is false when the client has none with this id. */
enum db_status webhook_store_get(struct db *db, const struct uuid *id, const char *client_id,
                                 struct arena *arena, struct webhook *webhook, bool *done) MUST_CHECK;

/* Changes what input has. One that becomes enabled goes on with what waits. */
enum db_status webhook_store_change(struct db *db, const struct uuid *id, const char *client_id,
                                    const struct webhook_input *input, struct arena *arena,
                                    struct webhook *webhook, bool *done) MUST_CHECK;

/* Gives it a new secret. The one before stays valid for WEBHOOK_OLD_SECRET_MS. */
enum db_status webhook_store_rotate(struct db *db, const struct uuid *id, const char *client_id,
                                    const char *sealed, struct arena *arena, struct webhook *webhook,
                                    bool *done) MUST_CHECK;

enum db_status webhook_store_delete(struct db *db, const struct uuid *id, const char *client_id,
                                    bool *done) MUST_CHECK;

/* A page of a client's webhooks, newest first; before NULL: from the newest. */
enum db_status webhook_store_list(struct db *db, const char *client_id, const struct uuid *before,
                                  size_t limit, struct arena *arena, struct webhook **webhooks,
                                  size_t *count) MUST_CHECK;

/* Queues a ping with this id and body, unless one waits: then *delivery_id becomes the id of that one. */
enum db_status webhook_store_ping(struct db *db, const struct uuid *id, const char *client_id,
                                  struct uuid *delivery_id, const char *body, bool *done) MUST_CHECK;

/* A page of a webhook's deliveries, newest first. */
enum db_status webhook_store_deliveries(struct db *db, const struct uuid *id, const struct uuid *before,
                                        size_t limit, struct arena *arena,
                                        struct webhook_delivery **deliveries, size_t *count) MUST_CHECK;

/* Makes a delivery due now, also one that was delivered. *done is false when the webhook has none with this id. */
enum db_status webhook_store_retry(struct db *db, const struct uuid *id, const char *client_id,
                                   const struct uuid *delivery_id, bool *done) MUST_CHECK;
