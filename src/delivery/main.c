/* delivery-svc: makes shipments of orders, moves them, tells the orders of it. */
#include "app.h"
#include "carrier.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/events/consumer.h"
#include "common/service/health.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/db/migrate.h"
#include "common/events/outbox.h"
#include "common/auth/revocations.h"
#include "common/service/service.h"
#include "order_consumer.h"
#include "revocation_consumer.h"
#include "revocation_store.h"
#include "routes.h"
#include "shipment_store.h"

static const char name[] = "delivery-service";
static const char ledger[] = "delivery";

static struct db_options db_options(const struct config *config) {
    struct db_options options;
    config_db(config, name, &options);
    return options;
}

/* In production somebody decides when the tables change; until then the service is not ready. */
static bool start_migrations(void *arg) {
    const struct delivery_app *app = arg;
    struct db_options db = db_options(app->config);
    return app->config->app_env == ENV_PRODUCTION || migrate_database(&db, ledger, migrations);
}

static bool start_keys(void *arg) {
    struct delivery_app *app = arg;
    struct token_options options;
    config_token(app->config, &options);
    app->keys = token_keys_new(&options);
    return app->keys != NULL;
}

static void stop_keys(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    token_keys_free(((struct delivery_app *)arg)->keys);
}

static bool start_health(void *arg) {
    struct delivery_app *app = arg;
    struct health_options options = {
        .service = name, .ledger = ledger, .db = db_options(app->config), .migrations = migrations};
    config_orders_queue(app->config, &options.queue);
    app->health = health_start(&options);
    return app->health != NULL;
}

static void stop_health(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    health_stop(((struct delivery_app *)arg)->health);
}

static bool start_outbox(void *arg) {
    struct delivery_app *app = arg;
    struct outbox_options options = {.table = "delivery_outbox", .db = db_options(app->config)};
    config_status_queue(app->config, &options.queue);
    options.queue.breaker = &app->sqs_breaker;
    app->outbox = outbox_start(&options);
    return app->outbox != NULL;
}

static void stop_outbox(void *arg, int64_t deadline_ms) {
    outbox_stop(((struct delivery_app *)arg)->outbox, deadline_ms);
}

static bool start_consumer(void *arg) {
    struct delivery_app *app = arg;
    struct consumer_options options = {.db = db_options(app->config),
                                       .threads = (unsigned)app->config->consumer_threads,
                                       .wait_s = (int)(app->config->sqs_wait_time / 1000),
                                       .probe = &shipment_store_probe,
                                       .handle = order_consumer_handle,
                                       .app = app};
    config_orders_queue(app->config, &options.queue);
    options.queue.breaker = &app->sqs_breaker;
    app->consumer = consumer_start(&options);
    return app->consumer != NULL;
}

static void stop_consumer(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    consumer_stop(((struct delivery_app *)arg)->consumer);
}

static bool start_revocations(void *arg) {
    struct delivery_app *app = arg;
    struct revocations_options options = {.table = "delivery_revoked_tokens", .db = db_options(app->config)};
    app->revocations = revocations_start(&options);
    return app->revocations != NULL;
}

static void stop_revocations(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    revocations_stop(((struct delivery_app *)arg)->revocations);
}

static bool start_revocation_consumer(void *arg) {
    struct delivery_app *app = arg;
    struct consumer_options options = {.db = db_options(app->config),
                                       .threads = 1,
                                       .wait_s = (int)(app->config->sqs_wait_time / 1000),
                                       .probe = &revocation_store_probe,
                                       .handle = revocation_consumer_handle,
                                       .app = app};
    config_revocations_queue(app->config, &options.queue);
    app->revocation_consumer = consumer_start(&options);
    return app->revocation_consumer != NULL;
}

static void stop_revocation_consumer(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    consumer_stop(((struct delivery_app *)arg)->revocation_consumer);
}

static bool start_carrier(void *arg) {
    struct delivery_app *app = arg;
    if (!app->pace.simulated)
        return true;
    struct db_options options = db_options(app->config);
    app->carrier = carrier_start(&options, &app->pace, app->outbox);
    return app->carrier != NULL;
}

static void stop_carrier(void *arg, int64_t deadline_ms) {
    (void)deadline_ms;
    carrier_stop(((struct delivery_app *)arg)->carrier);
}

static void *open_worker(void *arg) {
    struct delivery_app *app = arg;
    struct db_options db = db_options(app->config);
    return http_worker_open(&db, NULL, app);
}

static bool start_http(void *arg) {
    struct delivery_app *app = arg;
    struct http_options options;
    config_http(app->config, &options);
    options.routes = delivery_routes;
    options.guard = delivery_guard;
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
    struct delivery_app *app = arg;
    health_drain(app->health);
    clock_sleep_ms(app->config->shutdown_delay);
    http_stop(app->http, deadline_ms);
}

static const struct service_component components[] = {
    {"token keys", start_keys, stop_keys},
    {"migrations", start_migrations, NULL},
    {"health", start_health, stop_health},
    {"revoked tokens", start_revocations, stop_revocations},
    {"consumer of revocations", start_revocation_consumer, stop_revocation_consumer},
    {"outbox relay", start_outbox, stop_outbox},
    {"order consumer", start_consumer, stop_consumer},
    {"carrier", start_carrier, stop_carrier},
    {"http", start_http, stop_http},
};

static int serve(const struct config *config) {
    struct delivery_app app = {.config = config,
                               .sqs_breaker = BREAKER_INIT,
                               .pace = {.simulated = config->carrier_simulation,
                                        .assign_ms = config->carrier_assign_delay,
                                        .ship_ms = config->carrier_ship_delay,
                                        .deliver_ms = config->carrier_deliver_delay}};
    return service_run(components, sizeof components / sizeof *components, &app, config->shutdown_timeout);
}

static int run(const struct config_command *command, const char *stray) {
    if (stray) {
        log_error(NULL, "%s: delivery-svc takes options only, see --help", stray);
        return 2;
    }
    struct db_options db = db_options(command->config);
    if (command->migrate_only)
        return migrate_database(&db, ledger, migrations) ? 0 : 1;
    return serve(command->config);
}

int main(int argc, char *argv[]) {
    struct config_command command = config_command_line(CONFIG_DELIVERY, argc, argv);
    if (!command.config)
        return command.exit_code;
    int code = 1;
    json_setup();
    if (queue_global_setup())
        code = run(&command, argv[command.argument]); /* argv ends with NULL */
    else
        log_error(NULL, "libcurl cannot be set up");
    queue_global_cleanup();
    config_free(command.config);
    return code;
}
