/* delivery-svc as its handlers see it: the parts that live as long as the process. */
#pragma once

#include "common/base/breaker.h"
#include "shipment.h"

struct carrier;
struct config;
struct consumer;
struct health;
struct http_server;
struct outbox;
struct revocations;
struct token_keys;

struct delivery_app {
    const struct config *config;
    struct shipment_pace pace;
    struct breaker sqs_breaker;
    struct token_keys *keys;
    struct outbox *outbox;
    struct consumer *consumer, *revocation_consumer;
    struct revocations *revocations;
    struct carrier *carrier; /* NULL when the simulation is off */
    struct health *health;
    struct http_server *http;
};
