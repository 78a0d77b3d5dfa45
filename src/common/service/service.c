/* What all daemons do: the command line, and the parts that every daemon has. */
#include "common/service/service.h"

#include "common/auth/revocations.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/cache/cache.h"
#include "common/config/command.h"
#include "common/metrics/metrics.h"
#include "common/queue/credentials.h"
#include "common/service/health.h"
#include "common/service/worker.h"
#include "common/tracing/tracing.h"
#include "files.h"
#include "lifecycle.h"
#include "metrics.h"
#include "observe.h"
#include "pools.h"
#include "probe.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_PARTS = 32,
    TRACING_LEAST_MS = 250, /* for sending the last spans */
    TRACING_MOST_MS = 3000,
    REDIS_QUIET_MS = 10000, /* longer than its breaker stays open */
};

static bool migrate(const struct service *service) {
    struct db_options db = service_db_direct(service);
    return migrate_database(&db, service->daemon->ledger, service->daemon->migrations);
}

/* In production the operator decides when the tables change. Until then the service is not ready. */
static void *start_migrations(void *app) {
    const struct service *service = app;
    return service->config->app_env == ENV_PRODUCTION || migrate(service) ? app : NULL;
}

static void tell_faults(struct buf *errors) {
    if (errors->data)
        errors->data[strcspn(errors->data, "\n")] = '\0';
    log_error(NULL, "keeping the old settings: %s", errors->data ? errors->data : "out of memory");
    buf_free(errors);
}

/* The log works since the settings were read. */
static void *start_log(void *app) {
    const struct service *service = app;
    log_info(NULL, "AWS credentials come from %s", credentials_source(service->config->credentials));
    return app;
}

static void reload_log(void *app) {
    const struct service *service = app;
    struct buf errors = {0};
    int64_t level;
    if (!config_reread_level(service->config, &level, &errors)) {
        tell_faults(&errors);
        return;
    }
    log_set_level((enum log_level)level);
}

static void *start_tracing(void *app) {
    const struct service *service = app;
    struct tracing_options options;
    config_tracing(service->config, service->daemon->name, &options);
    return tracing_start(&options) ? app : NULL;
}

/* All others that make spans have stopped. However little time they have left, the last spans get some. */
static void stop_tracing(void *app, int64_t deadline_ms) {
    (void)app;
    int64_t left_ms = deadline_ms - clock_mono_ms();
    tracing_stop(left_ms < TRACING_LEAST_MS  ? TRACING_LEAST_MS
                 : left_ms > TRACING_MOST_MS ? TRACING_MOST_MS
                                             : left_ms);
}

static void *start_keys(void *app) {
    struct service *service = app;
    struct token_options options;
    config_token(service->config, &options);
    service->auth.anonymous = service->config->delivery_anonymous;
    return service->auth.keys = token_keys_new(&options);
}

static void reload_keys(void *app) {
    const struct service *service = app;
    struct buf errors = {0};
    char secret[SECRET_SIZE];
    bool has_file = service->config->jwt_secret.path && !*service->config->jwt_keys;
    if (has_file && !config_reread_jwt_secret(service->config, secret, &errors))
        tell_faults(&errors);
    else
        token_keys_reload(service->auth.keys, has_file ? secret : NULL);
    explicit_bzero(secret, sizeof secret);
}

static void stop_keys(void *keys, int64_t deadline_ms) {
    (void)deadline_ms;
    token_keys_free(keys);
}

static void *start_health(void *app) {
    struct service *service = app;
    struct cache_options cache;
    struct health_options options = {.service = service->daemon->name,
                                     .ledger = service->daemon->ledger,
                                     .db = pools_asking(service),
                                     .pool = service->lasting,
                                     .migrations = service->daemon->migrations,
                                     .probe = service->daemon->probe,
                                     .unserved = &service->unserved};
    config_cache(service->config, &cache);
    if (service->daemon->uses_redis)
        options.cache = &cache;
    config_orders_queue(service->config, &options.queue);
    return service->health = health_start(&options);
}

static void stop_health(void *health, int64_t deadline_ms) {
    (void)deadline_ms;
    health_stop(health);
}

static void *start_session(void *app) {
    return pools_start_session(app) ? app : NULL;
}

static void stop_session(void *app, int64_t deadline_ms) {
    const struct service *service = app;
    (void)deadline_ms;
    db_session_stop(service->session);
}

static void *start_revocations(void *app) {
    struct service *service = app;
    struct db_options db = service_db_of(service, DB_PROMPT);
    return service->auth.revocations = revocations_start(service->daemon->revocations, &db);
}

static void stop_revocations(void *revocations, int64_t deadline_ms) {
    (void)deadline_ms;
    revocations_stop(revocations);
}

static void *start_http(void *app) {
    struct service *service = app;
    struct http_options options;
    config_http(service->config, &options);
    options.routes = service->daemon->routes;
    options.guard = auth_guard;
    options.guard_cls = &service->auth;
    options.app = app;
    options.open_worker = worker_open;
    options.close_worker = worker_close;
    options.worker_error = worker_error;
    options.unserved = &service->unserved;
    service->http = http_start(&options);
    if (service->http)
        log_info(NULL, "listening on %s port %d", options.bind_address, http_port(service->http));
    return service->http ? app : NULL;
}

static void reload_http(void *app) {
    const struct service *service = app;
    http_reload(service->http);
}

/* Load balancers are told first. They have SHUTDOWN_DELAY to react before the port closes. */
static void stop_http(void *app, int64_t deadline_ms) {
    struct service *service = app;
    health_drain(service->health);
    http_drain(service->http);
    clock_sleep_ms(service->config->shutdown_delay);
    if (service->daemon->drain)
        service->daemon->drain(app);
    http_stop(service->http, deadline_ms);
}

static const struct service_part first_parts[] = {
    {.name = "log", .start = start_log, .reload = reload_log},
    {.name = "tracing", .start = start_tracing, .stop = stop_tracing, .files = QUEUE_FILES},
    {.name = "metrics", .start = service_metrics_start, .stop = service_metrics_stop},
    {.name = "token keys", .start = start_keys, .stop = stop_keys, .reload = reload_keys},
    {.name = "migrations", .start = start_migrations},
    {.name = "health",
     .start = start_health,
     .stop = stop_health,
     .files = DB_FILES + CACHE_FILES + QUEUE_FILES},
    {.name = "session", .start = start_session, .stop = stop_session},
    {.name = "revoked tokens", .start = start_revocations, .stop = stop_revocations},
    {0},
};

static const struct service_part last_parts[] = {
    {.name = "observer",
     .start = observer_start,
     .stop = observer_stop,
     .files = OBSERVED_QUEUES * QUEUE_FILES},
    {.name = "http", .start = start_http, .stop = stop_http, .reload = reload_http},
    {0},
};

/* All parts in their order, with NULL at the end. */
static void list_parts(const struct service_daemon *daemon, const struct service_part *parts[MAX_PARTS + 1]) {
    const struct service_part *const lists[] = {first_parts, daemon->parts, last_parts};
    size_t count = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct service_part *part = lists[i]; part->name && count < MAX_PARTS; part++)
            parts[count++] = part;
    parts[count] = NULL;
}

static bool files_suffice(const struct service_daemon *daemon, const struct config *config) {
    const struct service_part *parts[MAX_PARTS + 1];
    list_parts(daemon, parts);
    return files_reserve(daemon, parts, config);
}

static int serve(struct service *service) {
    const struct service_part *parts[MAX_PARTS + 1];
    list_parts(service->daemon, parts);
    return lifecycle_run(parts, service, service->config->shutdown_timeout);
}

static int serve_pooled(struct service *service) {
    int code = 1;
    if (pools_open(service))
        code = serve(service);
    else
        log_error(NULL, "out of memory");
    pools_close(service);
    return code;
}

static int run_command(const struct service_daemon *daemon, const struct config *config, int argc,
                       char *argv[]) {
    if (strcmp(argv[0], "archive") == 0)
        return archive_command(config, daemon->archive, argc, argv);
    for (const struct service_command *command = daemon->commands; command->name; command++)
        if (strcmp(argv[0], command->name) == 0)
            return command->run(config, argc, argv);
    log_error(NULL, "unknown command '%s'; see --help", argv[0]);
    return 2;
}

static int run_service(const struct service_daemon *daemon, const struct config_command *command) {
    struct service *service = calloc(1, daemon->app_size);
    struct db_identity *identity = db_identity_new();
    struct http_options metrics;
    if (!service || !identity || (config_metrics(command->config, &metrics) && !metrics_start())) {
        free(service);
        db_identity_free(identity);
        log_error(NULL, "out of memory");
        return 1;
    }
    service->identity = identity;
    service->daemon = daemon;
    service->config = command->config;
    service->redis_breaker = service->sqs_breaker = (struct breaker)BREAKER_INIT;
    service->redis_outage.name = "cache in Redis";
    service->redis_outage.quiet_ms = REDIS_QUIET_MS;
    int code = command->migrate_only ? (migrate(service) ? 0 : 1) : serve_pooled(service);
    free(service);
    db_identity_free(identity);
    metrics_stop();
    return code;
}

static int execute(const struct service_daemon *daemon, const struct config_command *command, int argc,
                   char *argv[]) {
    int code = 1;
    json_setup();
    if (!queue_global_setup())
        log_error(NULL, "cannot initialize libcurl");
    else if (command->argument < argc && !command->migrate_only)
        code = run_command(daemon, command->config, argc - command->argument, argv + command->argument);
    else
        code = run_service(daemon, command);
    queue_global_cleanup();
    return code;
}

int service_main(const struct service_daemon *daemon, int argc, char *argv[]) {
    struct config_command command = config_command_line(daemon->config, argc, argv);
    if (!command.config)
        return command.exit_code;
    if (command.probe) {
        int well = probe_daemon(command.config, command.probe);
        config_free(command.config);
        return well;
    }
    bool serves = !command.migrate_only && command.argument == argc;
    int code = serves && !files_suffice(daemon, command.config) ? 1 : 0;
    if (code == 0 && !command.check_only)
        code = execute(daemon, &command, argc, argv);
    config_free(command.config);
    return code;
}
