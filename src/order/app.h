/* order-svc as its handlers see it: the parts that live as long as the process. */
#pragma once

#include "common/base/breaker.h"

struct clients;
struct config;
struct expiry;
struct guesses;
struct health;
struct http_server;
struct limit;
struct memory_cache;
struct outbox;
struct reconcile;
struct revocations;
struct status_consumer;
struct token_keys;

struct order_app {
    const struct config *config;
    struct breaker redis_breaker, sqs_breaker;
    struct token_keys *keys;
    struct clients *clients;
    struct guesses *guesses;
    struct limit *orders_limit;  /* new orders of a client */
    struct memory_cache *memory; /* answers that never change: receipts, views of delivered orders */
    struct health *health;
    struct outbox *outbox, *revocation_outbox;
    struct revocations *revocations;
    struct status_consumer *consumer;
    struct reconcile *reconcile;
    struct expiry *expiry;
    struct http_server *http;
};
