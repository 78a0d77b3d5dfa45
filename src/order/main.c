/* order-svc: takes orders, publishes them, and follows what becomes of them. */
#include "app.h"
#include "client_command.h"
#include "clients.h"
#include "common/cache/cache.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/service/health.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory_cache.h"
#include "common/db/migrate.h"
#include "common/events/outbox.h"
#include "common/auth/revocations.h"
#include "common/service/service.h"
#include "expiry.h"
#include "guesses.h"
#include "reconcile.h"
#include "routes.h"
#include "status_consumer.h"

#include <string.h>

static const char name[] = "order-service";
static const char ledger[] = "order";

static struct db_options db_options(const struct config *config) {
    struct db_options options;
    config_db(config, name, &options);
    return options;
}

/* In production somebody decides when the tables change; until then the service is not ready. */
static bool start_migrations(void *arg) {
    const struct order_app *app = arg;
    struct db_options db = db_options(app->config);
    return app->config->app_env == ENV_PRODUCTION || migrate_database(&db, ledger, migrations);
}

static bool start_keys(void *arg) {
    struct order_app *app = arg;
    struct token_options options;
    config_token(app->config, &options);
    app->keys = token_keys_new(&options);
    return app->keys != NULL;
}

static void stop_keys(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    token_keys_free(((struct order_app *)arg)->keys);
}

static bool start_health(void *arg) {
    struct order_app *app = arg;
    struct cache_options cache;
    config_cache(app->config, &cache);
    struct health_options options = {.service = name,
                                     .ledger = ledger,
                                     .db = db_options(app->config),
                                     .cache = &cache,
                                     .migrations = migrations};
    config_orders_queue(app->config, &options.queue);
    app->health = health_start(&options);
    return app->health != NULL;
}

static void stop_health(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    health_stop(((struct order_app *)arg)->health);
}

static bool start_clients(void *arg) {
    struct order_app *app = arg;
    app->clients = clients_start(app->config);
    return app->clients != NULL;
}

static void stop_clients(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    clients_stop(((struct order_app *)arg)->clients);
}

static bool start_outbox(void *arg) {
    struct order_app *app = arg;
    struct outbox_options options = {.table = "order_outbox", .db = db_options(app->config)};
    config_orders_queue(app->config, &options.queue);
    options.queue.breaker = &app->sqs_breaker;
    app->outbox = outbox_start(&options);
    return app->outbox != NULL;
}

static void stop_outbox(void *arg, int64_t deadline_ms) {
    outbox_stop(((struct order_app *)arg)->outbox, deadline_ms);
}

static bool start_revocations(void *arg) {
    struct order_app *app = arg;
    struct revocations_options options = {.table = "revoked_tokens", .db = db_options(app->config)};
    app->revocations = revocations_start(&options);
    return app->revocations != NULL;
}

static void stop_revocations(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    revocations_stop(((struct order_app *)arg)->revocations);
}

static bool start_revocation_outbox(void *arg) {
    struct order_app *app = arg;
    struct outbox_options options = {.table = "revocation_outbox", .db = db_options(app->config)};
    config_revocations_queue(app->config, &options.queue);
    app->revocation_outbox = outbox_start(&options);
    return app->revocation_outbox != NULL;
}

static void stop_revocation_outbox(void *arg, int64_t deadline_ms) {
    outbox_stop(((struct order_app *)arg)->revocation_outbox, deadline_ms);
}

static bool start_consumer(void *arg) {
    struct order_app *app = arg;
    app->consumer = status_consumer_start(app);
    return app->consumer != NULL;
}

static void stop_consumer(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    status_consumer_stop(((struct order_app *)arg)->consumer);
}

static bool start_reconcile(void *arg) {
    struct order_app *app = arg;
    struct db_options db = db_options(app->config);
    app->reconcile = reconcile_start(&db, app->config->reconcile_after, app->outbox);
    return app->reconcile != NULL;
}

static void stop_reconcile(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    reconcile_stop(((struct order_app *)arg)->reconcile);
}

static bool start_expiry(void *arg) {
    struct order_app *app = arg;
    struct db_options db = db_options(app->config);
    app->expiry = expiry_start(&db);
    return app->expiry != NULL;
}

static void stop_expiry(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    expiry_stop(((struct order_app *)arg)->expiry);
}

static bool start_limits(void *arg) {
    struct order_app *app = arg;
    app->guesses = guesses_new(app->config->auth_failure_limit);
    app->orders_limit = limit_new(&(struct limit_policy){"orders", app->config->order_rate_limit, 60});
    return app->guesses && app->orders_limit;
}

static void stop_limits(void *arg, int64_t deadline_ms) {
    const struct order_app *app = arg;
    (void)deadline_ms;
    limit_free(app->orders_limit);
    guesses_free(app->guesses);
}

static bool start_memory(void *arg) {
    struct order_app *app = arg;
    app->memory = memory_cache_new();
    return app->memory != NULL;
}

static void stop_memory(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    memory_cache_free(((struct order_app *)arg)->memory);
}

static void *open_worker(void *arg) {
    struct order_app *app = arg;
    struct db_options db = db_options(app->config);
    struct cache_options cache;
    config_cache(app->config, &cache);
    cache.breaker = &app->redis_breaker;
    return http_worker_open(&db, &cache, app);
}

static bool start_http(void *arg) {
    struct order_app *app = arg;
    struct http_options options;
    config_http(app->config, &options);
    options.routes = order_routes;
    options.guard = order_guard;
    options.app = app;
    options.open_worker = open_worker;
    options.close_worker = http_worker_close;
    app->http = http_start(&options);
    if (app->http)
        log_info(NULL, "listening on %s port %d", options.bind_address, http_port(app->http));
    return app->http != NULL;
}

/* Load balancers are told first, and get SHUTDOWN_DELAY to look elsewhere before the port closes. */
static void stop_http(void *arg, int64_t deadline_ms) {
    struct order_app *app = arg;
    health_drain(app->health);
    clock_sleep_ms(app->config->shutdown_delay);
    http_stop(app->http, deadline_ms);
}

static const struct service_component components[] = {
    {"token keys", start_keys, stop_keys},
    {"migrations", start_migrations, NULL},
    {"health", start_health, stop_health},
    {"clients", start_clients, stop_clients},
    {"revoked tokens", start_revocations, stop_revocations},
    {"memory", start_memory, stop_memory},
    {"outbox relay", start_outbox, stop_outbox},
    {"relay of revocations", start_revocation_outbox, stop_revocation_outbox},
    {"status consumer", start_consumer, stop_consumer},
    {"reconciler", start_reconcile, stop_reconcile},
    {"key expiry", start_expiry, stop_expiry},
    {"limits", start_limits, stop_limits},
    {"http", start_http, stop_http},
};

static int serve(const struct config *config) {
    struct order_app app = {.config = config, .redis_breaker = BREAKER_INIT, .sqs_breaker = BREAKER_INIT};
    return service_run(components, sizeof components / sizeof *components, &app, config->shutdown_timeout);
}

static int run(const struct config_command *command, int argc, char *argv[]) {
    const struct config *config = command->config;
    struct db_options db = db_options(config);
    if (command->migrate_only)
        return migrate_database(&db, ledger, migrations) ? 0 : 1;
    if (argc == 0)
        return serve(config);
    if (strcmp(argv[0], "client") == 0)
        return client_command(config, argc, argv);
    log_error(NULL, "%s: no such command, see --help", argv[0]);
    return 2;
}

int main(int argc, char *argv[]) {
    struct config_command command = config_command_line(CONFIG_ORDER, argc, argv);
    if (!command.config)
        return command.exit_code;
    int code = 1;
    json_setup();
    if (queue_global_setup())
        code = run(&command, argc - command.argument, argv + command.argument);
    else
        log_error(NULL, "libcurl cannot be set up");
    queue_global_cleanup();
    config_free(command.config);
    return code;
}
