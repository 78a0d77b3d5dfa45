/* Health: threads that ask each part now and then, and the three routes that tell what they last saw. */
#pragma once

#include "common/base/attributes.h"
#include "common/cache/cache.h"
#include "common/db/db.h"
#include "common/http/http.h"
#include "common/db/migrate.h"
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

/* Answers of the routes: on an HTTP thread, from what was last seen. */
void health_reply(struct health *health, struct http_request *request);       /* GET /health */
void health_reply_live(struct health *health, struct http_request *request);  /* GET /health/live */
void health_reply_ready(struct health *health, struct http_request *request); /* GET /health/ready */
