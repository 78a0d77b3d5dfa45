/* A daemon: its description, what all daemons share, and the main function that does the rest. */
#pragma once

#include "common/auth/auth.h"
#include "common/base/breaker.h"
#include "common/base/outage.h"
#include "common/config/config.h"
#include "common/db/identity.h"
#include "common/db/job.h"
#include "common/db/migrate.h"
#include "common/db/session.h"
#include "common/events/consumer.h"
#include "common/http/server.h"
#include "common/service/archive.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct health;
struct outbox;

/* Sets the options of one of the queues: config_orders_queue or one like it. */
typedef void service_queue(const struct config *config, struct queue_options *out);

/* A part of a daemon that lives as long as the process. It is of one kind: a pair of functions, a periodic job, the
 * relay of an outbox, or a consumer. */
struct service_part {
    const char *name;
    size_t place; /* offset in the app of the pointer to the part; 0: nobody uses it */

    void *(*start)(void *app); /* NULL: failed, the reason is logged */
    /* Takes what start returned. The deadline is on clock_mono_ms's clock. */
    void (*stop)(void *part, int64_t deadline_ms);

    /* Reads again what may change while the process runs. A failure is logged, and leaves everything as it was. On the
     * main thread, after all parts have started. NULL: nothing may change. */
    void (*reload)(void *app);

    db_job_fn *job; /* its self is the app */

    const char *outbox; /* the table whose rows go to the queue */

    consumer_fn *consume; /* what to do with the queue's messages; its app is the app */
    const char *action;   /* what that is, for traces: "create shipments" */
    const struct db_query *probe;
    bool single; /* one thread, instead of CONSUMER_THREADS, and prompt (db_share) */

    service_queue *queue; /* of an outbox or a consumer */

    /* The file descriptors of a part with a start function, at most. consumes: and it starts a consumer. */
    size_t files;
    bool consumes;
};

struct service_command { /* "order-svc client ..." */
    const char *name;
    /* argv[0] is the name. Returns the exit code. */
    int (*run)(const struct config *config, int argc, char *argv[]);
};

/* What a daemon is. */
struct service_daemon {
    const char *name;           /* name in logs and answers: "order-service" */
    const char *ledger;         /* of its migrations: "order" */
    enum config_service config; /* which knobs apply */
    const struct migration *migrations;
    const char *revocations;        /* prefix of its tables of revoked tokens */
    const struct db_query *probe;   /* fails without the tables that its requests need */
    service_queue *const *consumes; /* the queues whose messages it takes; ends with NULL */
    /* Counts for the metrics what is the daemon's alone, every 15 s; NULL: nothing. */
    enum db_status (*observe)(struct db *db);
    bool uses_redis;
    /* Ends what requests wait for on purpose, such as streams, before the server stops; NULL: they never do. */
    void (*drain)(void *app);
    const struct http_route *routes;
    /* Started in this order, before the HTTP server. Ends with a NULL name. */
    const struct service_part *parts;
    const struct archive_kind *archive;
    const struct service_command *commands; /* ends with a NULL name */
    size_t app_size;                        /* of the daemon's app, which begins with a struct service */
};

/* What all daemons share. The first member of the app of a daemon. */
struct service {
    const struct service_daemon *daemon;
    const struct config *config;
    struct db_identity *identity;              /* of the database */
    struct db_session *session;                /* hears NOTIFY, and decides who leads */
    struct db_pool *lasting;                   /* its connection, also of the health check */
    struct db_pool *work;                      /* the connections of all parts but the workers */
    struct breaker redis_breaker, sqs_breaker; /* of all of the process's connections */
    struct outage redis_outage;
    struct archive retention; /* of the job that takes out what is old */
    atomic_ullong unserved;   /* requests that a worker could not serve for lack of the database */
    struct auth auth;
    struct health *health;
    struct http_server *http, *metrics; /* metrics: NULL when METRICS_PORT is 0 */
};

/* The main function of a daemon. */
int service_main(const struct service_daemon *daemon, int argc, char *argv[]);

/* The job of a part that does what ORDERS_RETENTION says. */
db_job_fn service_retention_run;

/* Options of a part, from the configuration. They borrow from it. service_db is for a connection of its own,
 * perhaps through a pooler, service_db_direct for one whose session lasts, service_db_of for those that parts share. */
struct db_options service_db(const struct service *service);
struct db_options service_db_direct(const struct service *service);
struct db_options service_db_of(const struct service *service, enum db_share share);
struct cache_options service_cache(struct service *service);

/* Starts the consumer that a part describes. Its function gets self instead of the app. NULL when out of memory or
 * threads. */
struct consumer *service_consumer(struct service *service, const struct service_part *part, void *self);
