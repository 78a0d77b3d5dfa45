/* What the handlers of order-svc share: the parts that live as long as the process. */
#pragma once

#include "common/db/walk.h"
#include "common/service/service.h"
#include "series.h"

struct clients;
struct feed;
struct guesses;
struct limit;
struct memory_cache;
struct outbox;
struct standby;
struct webhook_sender;

struct order_app {
    struct service service; /* must stay first */
    struct clients *clients;
    struct guesses *guesses;
    struct limit *orders_limit;  /* new orders per client */
    struct feed *feed;           /* who follows the events live */
    struct memory_cache *memory; /* answers that are final: receipts, views of delivered orders */
    struct standby *standby;     /* who may answer reads, too */
    struct outbox *outbox, *revocation_outbox;
    struct webhook_sender *webhook_sender;
    struct order_series series;
    struct db_walk expired_keys;          /* of the job that deletes them */
    struct db_walk old_deliveries;        /* of webhooks */
    struct db_walk silent_revocations[2]; /* of the job that publishes them again */
};
