/* Health: a thread for each part that asks it every second, and the three routes that tell what was last seen. */
#pragma once

#include "common/base/attributes.h"
#include "common/cache/cache.h"
#include "common/db/db.h"
#include "common/db/migrate.h"
#include "common/http/request.h"
#include "common/queue/queue.h"

#include <stdbool.h>

struct health;

struct health_options {
    const char *service; /* as shown: "order-service" */
    const char *ledger;  /* service name of migrate_is_current: "order" */
    struct db_options db;
    const struct cache_options *cache; /* NULL: the daemon has none */
    struct queue_options queue;
    const struct migration *migrations;
};

/* Asks each part at once and then every second. Waits for the first answers, but a second at most: a part
 * that has not answered yet counts as away. NULL when out of memory or threads. */
struct health *health_start(const struct health_options *options);
void health_stop(struct health *health); /* NULL is fine */

/* From now on the readiness is false: the process drains. Any thread. */
void health_drain(struct health *health);

/* The handlers of GET /health, /health/live and /health/ready: they answer on an HTTP thread, from what was last
 * seen. request->app begins with a struct service. */
void health_prepare(struct http_request *request);
void health_live_prepare(struct http_request *request);
void health_ready_prepare(struct http_request *request);
