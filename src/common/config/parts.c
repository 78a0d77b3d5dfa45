/* The options of the parts, from the configuration. */
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/db/db.h"
#include "common/http/server.h"
#include "common/queue/credentials.h"
#include "common/queue/queue.h"
#include "common/token/token.h"
#include "common/tracing/tracing.h"

#include <string.h>

enum { STANDBY_PATIENCE_MS = 1000 }; /* then the primary is asked, which has its own time-outs */

void config_db(const struct config *config, const char *application_name, struct db_options *out) {
    *out = (struct db_options){
        .host = config->db_host,
        .port = config->db_port,
        .name = config->db_name,
        .user = config->db_user,
        .password = config->db_password,
        .sslmode = config->db_sslmode,
        .sslrootcert = config->db_sslrootcert,
        .application_name = application_name,
        .connect_timeout_ms = (int)config->db_connect_timeout,
        .statement_timeout_ms = (int)config->db_statement_timeout,
        .lock_timeout_ms = (int)config->db_lock_timeout,
        .pooler = config->db_pooler == POOLER_TRANSACTION,
    };
}

void config_db_direct(const struct config *config, const char *application_name, struct db_options *out) {
    config_db(config, application_name, out);
    if (!out->pooler)
        return;
    out->pooler = false;
    out->host = config->db_direct_host;
    out->port = config->db_direct_port;
}

bool config_db_read(const struct config *config, const char *application_name, struct db_options *out) {
    if (!config_reads_standbys(config))
        return false;
    config_db(config, application_name, out);
    out->host = config->db_read_host;
    out->port = config->db_read_port;
    out->standby = true;
    if (out->statement_timeout_ms > STANDBY_PATIENCE_MS)
        out->statement_timeout_ms = STANDBY_PATIENCE_MS;
    if (out->connect_timeout_ms > STANDBY_PATIENCE_MS)
        out->connect_timeout_ms = STANDBY_PATIENCE_MS;
    return true;
}

void config_cache(const struct config *config, struct cache_options *out) {
    *out = (struct cache_options){
        .host = config->redis_host,
        .port = (int)config->redis_port,
        .username = config->redis_username,
        .password = config->redis_password,
        .database = (int)config->redis_db,
        .timeout_ms = (int)config->redis_timeout,
        .tls = config->redis_tls,
        .ca_file = config->redis_ca_file,
    };
}

/* Only AWS has metadata of machines, and nothing of AWS takes unsigned requests. */
static bool is_aws(const char *endpoint) {
    static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn"};
    size_t len = strlen(endpoint);
    for (size_t i = 0; i < 2; i++)
        if (len > strlen(domains[i]) && strcmp(endpoint + len - strlen(domains[i]), domains[i]) == 0)
            return strncmp(endpoint, "https://", 8) == 0;
    return false;
}

void config_credentials(const struct config *config, struct credential_options *out) {
    const char *metadata = config->aws_metadata_endpoint;
    if (!*metadata && is_aws(config->sqs_endpoint))
        metadata = "http://169.254.169.254";
    *out = (struct credential_options){
        .key = config->aws_access_key_id,
        .secret = config->aws_secret_access_key,
        .token = config->aws_session_token,
        .region = config->aws_region,
        .role_arn = config->aws_role_arn,
        .token_file = config->aws_token_file,
        .session_name = config->aws_session_name,
        .sts_endpoint = config->aws_sts_endpoint,
        .shared_file = config->aws_shared_file,
        .profile = config->aws_profile,
        .container_url = config->aws_container_url,
        .container_path = config->aws_container_path,
        .container_token = config->aws_container_token,
        .metadata_endpoint = config->aws_metadata_disabled ? "" : metadata,
    };
}

static struct queue_options queue_options(const struct config *config, const char *name,
                                          const char *dead_letter_name) {
    return (struct queue_options){
        .endpoint = config->sqs_endpoint,
        .region = config->aws_region,
        .credentials = config->credentials,
        .name = name,
        .dead_letter_name = dead_letter_name,
        .max_receive_count = (int)config->sqs_max_receive_count,
        .visibility_timeout_s = (int)(config->sqs_visibility_timeout / 1000),
        .aws = is_aws(config->sqs_endpoint),
    };
}

void config_orders_queue(const struct config *config, struct queue_options *out) {
    *out = queue_options(config, config->orders_queue, config->orders_dlq);
    out->shards = (unsigned)config->queue_shards;
}

void config_status_queue(const struct config *config, struct queue_options *out) {
    *out = queue_options(config, config->delivery_status_queue, config->delivery_status_dlq);
    out->shards = (unsigned)config->queue_shards;
}

void config_revocations_queue(const struct config *config, struct queue_options *out) {
    *out = queue_options(config, config->revocations_queue, config->revocations_dlq);
}

void config_token(const struct config *config, struct token_options *out) {
    *out = (struct token_options){
        .folder = config->jwt_keys,
        .secret = config->jwt_secret.text,
        .issues = config->service == CONFIG_ORDER,
        .issuer = config->jwt_issuer,
        .audience = config->jwt_audience,
        .lifetime_s = config->jwt_expires_in / 1000,
    };
}

bool config_metrics(const struct config *config, struct http_options *out) {
    *out = (struct http_options){
        .bind_address = config->metrics_bind_address,
        .port = (int)(config->service == CONFIG_ORDER ? config->order_metrics_port
                                                      : config->delivery_metrics_port),
        .tls_cert_file = "",
        .tls_key_file = "",
        .threads = 1,
        .max_connections = 32,
        .timeout_ms = 10000,
        .queue_timeout_ms = 1000,
        .lane_capacity = 1,
        .max_batch = 1,
        .trusted_proxies = "",
        .unmeasured = true,
    };
    return out->port > 0;
}

void config_tracing(const struct config *config, const char *service, struct tracing_options *out) {
    bool named = *config->otel_service_name;
    *out = (struct tracing_options){
        .disabled = config->otel_disabled,
        .endpoint = config->otlp_endpoint,
        .traces_endpoint = config->otlp_traces_endpoint,
        .headers = config->otlp_headers,
        .traces_headers = config->otlp_traces_headers,
        .timeout_ms = config->otlp_timeout,
        .service = named ? config->otel_service_name : service,
        .named = named,
        .resource = config->otel_resource_attributes,
        .sampler = (enum tracing_sampler)config->otel_sampler,
        .ratio = config->otel_sampler_arg,
    };
}

void config_http(const struct config *config, struct http_options *out) {
    *out = (struct http_options){
        .bind_address = config->bind_address,
        .port = (int)(config->service == CONFIG_ORDER ? config->order_port : config->delivery_port),
        .tls_cert_file = config->tls_cert_file,
        .tls_key_file = config->tls_key_file,
        .threads = (unsigned)config->http_threads,
        .max_connections = (unsigned)config->http_max_connections,
        .timeout_ms = config->http_timeout,
        .queue_timeout_ms = config->http_queue_timeout,
        .lane_capacity = (size_t)config->http_queue_limit,
        .memory_limit = (size_t)config->http_memory << 20,
        .max_batch = (size_t)config->batch_size,
        .workers = (size_t)config->db_pool_size,
        .trusted_proxies = config->trusted_proxies,
        .cors_origins = config->cors_origins,
        .access_log = config->access_log,
        .slow_ms = config->log_slow,
        .address_limit = config->rate_limit_address,
        .client_limit = config->rate_limit,
    };
}
