/* Health: one thread per part checks it every second, and three routes report the last results. */
#pragma once

#include "common/base/attributes.h"
#include "common/cache/cache.h"
#include "common/db/db.h"
#include "common/db/migrate.h"
#include "common/http/request.h"
#include "common/queue/queue.h"

#include <stdatomic.h>
#include <stdbool.h>

struct health;

struct health_options {
    const char *service;               /* name in the answers: "order-service" */
    const char *ledger;                /* service name of migrate_is_current: "order" */
    struct db_options db;              /* of a connection of its own, while the database is not well */
    struct db_pool *pool;              /* of the connection for all other checks */
    const struct cache_options *cache; /* NULL: the daemon has none */
    struct queue_options queue;
    const struct migration *migrations;
    const struct db_query *probe;  /* fails without the tables that requests need */
    const atomic_ullong *unserved; /* grows when a worker could not serve a request */
};

/* Checks each part immediately, and then every second. Waits for the first results, at most a second. A part
 * without a result counts as unavailable. NULL when out of memory or threads. */
struct health *health_start(const struct health_options *options);
void health_stop(struct health *health); /* NULL is fine */

/* Makes GET /health/ready fail from now on, because the process drains. Any thread. */
void health_drain(struct health *health);

/* The handlers of GET /health, /health/live and /health/ready. They answer on an HTTP thread, from the last
 * results. request->app must begin with a struct service. */
void health_prepare(struct http_request *request);
void health_live_prepare(struct http_request *request);
void health_ready_prepare(struct http_request *request);
