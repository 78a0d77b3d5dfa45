/* Handles TOKEN_REVOKED and CLIENT_TOKENS_REVOKED messages of the revocations queue, which order-svc sends. */
#pragma once

#include "common/events/consumer.h"

/* A consumer_fn. app is the struct delivery_app. */
enum db_status revocation_consumer_handle(void *app, struct db *db, struct consumer_message messages[],
                                          size_t n);
