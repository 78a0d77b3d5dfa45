/* Configuration: the values of all knobs (knob.h), from environment variables. Durations are in milliseconds. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/secret.h"
#include "common/config/knob.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credential_chain;

enum config_env { ENV_PRODUCTION, ENV_DEVELOPMENT };
enum config_pooler { POOLER_NONE, POOLER_TRANSACTION };
enum config_web_ui { WEB_UI_AUTO, WEB_UI_ON, WEB_UI_OFF };

/* Values of all knobs. The config owns the strings. */
struct config {
    enum config_service service;
    int64_t app_env, log_level, log_format, log_slow;
    bool access_log;
    int64_t order_port, delivery_port, order_metrics_port, delivery_metrics_port;
    char *metrics_bind_address;
    char *bind_address, *tls_cert_file, *tls_key_file;
    int64_t http_threads, http_max_connections, http_timeout, http_queue_limit, http_queue_timeout,
        http_memory, batch_size;
    char *trusted_proxies, *cors_origins;
    int64_t rate_limit, rate_limit_address, order_rate_limit, auth_failure_limit, stream_limit;
    int64_t db_pooler;
    char *db_direct_host, *db_direct_port;
    char *db_read_host, *db_read_port; /* order-svc only */
    char *db_host, *db_port, *db_name, *db_user, *db_sslmode, *db_sslrootcert;
    struct secret_source db_password;
    int64_t db_pool_size, db_connect_timeout, db_statement_timeout, db_lock_timeout;
    char *redis_host, *redis_username, *redis_ca_file;
    struct secret_source redis_password;
    bool redis_tls;
    int64_t redis_port, redis_db, redis_timeout;
    char *sqs_endpoint, *aws_region;
    struct secret_source aws_access_key_id, aws_secret_access_key, aws_session_token;
    char *aws_role_arn, *aws_token_file, *aws_session_name, *aws_sts_endpoint;
    char *aws_shared_file, *aws_profile, *aws_container_url, *aws_container_path;
    struct secret_source aws_container_token;
    char *aws_metadata_endpoint;
    bool aws_metadata_disabled;
    struct credential_chain *credentials; /* of AWS, made of these */
    char *orders_queue, *orders_dlq, *delivery_status_queue, *delivery_status_dlq;
    char *revocations_queue, *revocations_dlq;
    int64_t sqs_visibility_timeout, sqs_max_receive_count, sqs_wait_time, consumer_threads, queue_shards,
        relay_calls;
    char *jwt_keys, *jwt_issuer, *jwt_audience;
    struct secret_source jwt_secret, webhook_secrets_key;
    int64_t jwt_expires_in;
    int64_t web_ui;
    bool demo_clients, delivery_anonymous;
    int64_t idempotency_ttl, idempotency_fingerprint_ttl, order_view_ttl, reconcile_after;
    int64_t events_retention, orders_retention; /* orders_retention: 0 keeps all */
    char *default_currency;
    char *webhook_allow_networks, *webhook_ca_file, *webhook_schedule;
    int64_t webhook_timeout, webhook_retention;
    bool carrier_simulation;
    int64_t carrier_assign_delay, carrier_ship_delay, carrier_deliver_delay;
    int64_t shutdown_delay, shutdown_timeout;
    bool otel_disabled;
    char *otlp_endpoint, *otlp_traces_endpoint;
    struct secret_source otlp_headers, otlp_traces_headers;
    char *otel_service_name, *otel_resource_attributes, *otel_sampler_arg;
    int64_t otlp_timeout, otel_sampler;
    const char
        *level_file; /* the .env file that log_level may come from; borrowed; NULL: the environment has it */
    struct buf warnings; /* lines about what was accepted or ignored, but may surprise */
};

/* Refused in production. */
/* Of ORDERS_RETENTION: longer than messages, keys and replays may live. */
#define CONFIG_LEAST_RETENTION_MS (30 * INT64_C(86400000))

#define CONFIG_DEFAULT_JWT_SECRET "dev-secret-key-change-in-production"
#define CONFIG_DEFAULT_DB_PASSWORD "admin123"
#define CONFIG_DEFAULT_WEBHOOK_KEY "dev-webhook-key-change-in-production"

/* Reads the environment into a new config. lookup is getenv, or a test's. Returns NULL when a value is invalid.
 * Then errors has one line for each invalid value, with the name of the knob, and never the value of a secret. */
struct config *config_load(enum config_service service, const char *(*lookup)(const char *name),
                           struct buf *errors);
void config_free(struct config *config); /* NULL is fine */

/* Appends a line for each setting that is for development only. config_load refuses these in production. */
void config_unsafe(const struct config *config, struct buf *out);

/* Reads a .env file (NAME=value lines, # comments, optional quotes) into the environment of the process. Variables
 * that are already set win. False with the reason in errors. Call it before any thread starts. */
bool config_read_env_file(const char *path, struct buf *errors) MUST_CHECK;

/* Looks for one variable in a .env file and appends its value to out; nothing if it is not there. False with the reason
 * in errors when the file cannot be read, or has a line that is not NAME=value. */
bool config_find_in_env_file(const char *path, const char *name, struct buf *out,
                             struct buf *errors) MUST_CHECK;

/* These read again what may change while the daemon runs. False with the reason in errors, which has no secret: then what
 * was read before stays. LOG_LEVEL is read from the .env file, unless the environment has it. The secret is read from its
 * file, which JWT_SECRET_FILE must have named. */
bool config_reread_level(const struct config *config, int64_t *level, struct buf *errors) MUST_CHECK;
bool config_reread_jwt_secret(const struct config *config, char text[static SECRET_SIZE],
                              struct buf *errors) MUST_CHECK;

/* The options of the parts, from config. They borrow its strings. */
struct db_options;
struct cache_options;
struct queue_options;
struct credential_options;
struct token_options;
struct http_options;
struct tracing_options;
void config_db(const struct config *config, const char *application_name, struct db_options *out);
/* Past a pooler, if there is one: for what needs a session of its own. */
void config_db_direct(const struct config *config, const char *application_name, struct db_options *out);
/* Whether orders are read from standbys, too. */
static inline bool config_reads_standbys(const struct config *config) {
    return config->db_read_host && *config->db_read_host;
}
/* Of a standby that may be read from. False when there is none. */
bool config_db_read(const struct config *config, const char *application_name,
                    struct db_options *out) MUST_CHECK;
void config_cache(const struct config *config, struct cache_options *out);
void config_credentials(const struct config *config, struct credential_options *out);
void config_orders_queue(const struct config *config, struct queue_options *out);
void config_status_queue(const struct config *config, struct queue_options *out);
void config_revocations_queue(const struct config *config, struct queue_options *out);
void config_token(const struct config *config, struct token_options *out);
/* service is the name of the daemon, unless the configuration has another. */
void config_tracing(const struct config *config, const char *service, struct tracing_options *out);
/* Leaves out routes, guard and workers, which the daemon adds. */
void config_http(const struct config *config, struct http_options *out);
/* False when there shall be no such server. */
bool config_metrics(const struct config *config, struct http_options *out);
