/* order-svc as its handlers see it: the parts that live as long as the process. */
#pragma once

struct clients;
struct config;
struct consumer;
struct health;
struct http_server;
struct outbox;
struct token_keys;

struct order_app {
    const struct config *config;
    struct token_keys *keys;
    struct clients *clients;
    struct outbox *outbox;
    struct consumer *consumer;
    struct health *health;
    struct http_server *http;
};
