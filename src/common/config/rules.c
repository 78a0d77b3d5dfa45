/* Rules that involve several knobs, or that a range cannot express. */
#include "private.h"

#include "common/base/currency.h"
#include "common/cache/cache.h"
#include "common/config/duration.h"
#include "common/db/db.h"
#include "common/http/address.h"
#include "common/http/cors.h"
#include "common/queue/credentials.h"
#include "common/queue/queue.h"
#include "common/tracing/tracing.h"

#include <string.h>
#include <sys/socket.h>

enum { MAX_HOST_NAME = 255 };

/* Must be http://host:port or https://host, with nothing after it. */
static void check_endpoint(const char *name, const char *url, struct buf *errors) {
    static const char host_characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    const char *host = "";
    if (strncmp(url, "http://", 7) == 0)
        host = url + 7;
    else if (strncmp(url, "https://", 8) == 0)
        host = url + 8;
    size_t len = strspn(host, host_characters);
    if (len > 0 && host[len] == '\0')
        return;
    buf_printf(errors, "%s: must be http://host:port or https://host, without a path", name);
    config_append_bad(errors, url);
}

static size_t count_items(const char *list) {
    size_t count = 1;
    for (; (list = strchr(list, ',')) != NULL; list++)
        count++;
    return count;
}

/* Few enough to be tried in time, and none that is empty: libpq would read it as its own default. */
static void check_hosts(const char *knob, const char *hosts, struct buf *errors) {
    bool good = count_items(hosts) <= DB_MAX_HOSTS;
    for (const char *at = hosts; good && at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        good = strcspn(at, ", ") > 0 && strcspn(at, ",") <= MAX_HOST_NAME;
    if (good)
        return;
    buf_printf(errors, "%s: must be 1 to %d hosts of at most %d characters, separated by commas", knob,
               DB_MAX_HOSTS, MAX_HOST_NAME);
    config_append_bad(errors, hosts);
}

/* One port for all hosts of the database, or one for each. */
static void check_ports(const char *knob, const char *hosts, const char *ports, struct buf *errors) {
    static const struct config_knob range = {.type = CONFIG_INTEGER, .min = 1, .max = 65535};
    int64_t value;
    bool good = count_items(ports) == 1 || count_items(ports) == count_items(hosts);
    for (const char *at = ports; good && at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char port[8];
        size_t len = strcspn(at, ",");
        good = len < sizeof port;
        memcpy(port, at, good ? len : 0);
        port[good ? len : 0] = '\0';
        good = good && config_parse_value(&range, port, &value);
    }
    if (good)
        return;
    buf_printf(errors, "%s_PORT: must be a whole number from 1 to 65535, or one for each host of %s_HOST",
               knob, knob);
    config_append_bad(errors, ports);
}

/* What keeps a session (LISTEN, advisory locks) cannot use such a pooler. */
static void check_database(const struct config *config, struct buf *errors) {
    check_hosts("DB_HOST", config->db_host, errors);
    check_ports("DB", config->db_host, config->db_port, errors);
    if (*config->db_direct_host) {
        check_hosts("DB_DIRECT_HOST", config->db_direct_host, errors);
        check_ports("DB_DIRECT", config->db_direct_host, config->db_direct_port, errors);
    }
    if (config_reads_standbys(config)) {
        check_hosts("DB_READ_HOST", config->db_read_host, errors);
        check_ports("DB_READ", config->db_read_host, config->db_read_port, errors);
    }
    if (config->db_pooler == POOLER_TRANSACTION && !*config->db_direct_host)
        buf_str(errors, "DB_DIRECT_HOST: must name PostgreSQL itself when DB_POOLER is transaction\n");
    if (config->db_pooler == POOLER_NONE && *config->db_direct_host)
        buf_str(errors, "DB_DIRECT_HOST: must be empty unless DB_POOLER is transaction\n");
}

static void check_queue_name(const char *knob, const char *name, struct buf *errors) {
    size_t base = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (base > 0 && strcmp(name + base, ".fifo") == 0)
        return;
    buf_printf(errors, "%s: must consist of A-Z a-z 0-9 _ - and end in .fifo", knob);
    config_append_bad(errors, name);
}

/* Names of shards are longer. */
static void check_shards(const struct config *config, struct buf *errors) {
    const size_t longest = QUEUE_NAME_SIZE - sizeof "-15";
    if (config->queue_shards > 1 &&
        (strlen(config->orders_queue) > longest || strlen(config->delivery_status_queue) > longest))
        buf_printf(errors, "QUEUE_SHARDS: must be 1 if the name of a queue is longer than %zu characters\n",
                   longest);
}

/* One queue in two roles would mix orders with status changes, or consume its own dead letters. */
static void check_queues(const struct config *config, struct buf *errors) {
    const struct {
        const char *knob, *name;
    } queues[] = {{"ORDERS_QUEUE", config->orders_queue},
                  {"ORDERS_DLQ", config->orders_dlq},
                  {"DELIVERY_STATUS_QUEUE", config->delivery_status_queue},
                  {"DELIVERY_STATUS_DLQ", config->delivery_status_dlq},
                  {"REVOCATIONS_QUEUE", config->revocations_queue},
                  {"REVOCATIONS_DLQ", config->revocations_dlq}};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        check_queue_name(queues[i].knob, queues[i].name, errors);
        for (size_t j = 0; j < i; j++)
            if (strcmp(queues[i].name, queues[j].name) == 0)
                buf_printf(errors, "%s: must differ from %s\n", queues[i].knob, queues[j].knob);
    }
}

/* Where credentials come from. The region becomes part of a host name. */
static void check_sources(const struct config *config, struct buf *errors) {
    const char *region = config->aws_region, *path = config->aws_container_path;
    if (!*config->aws_role_arn != !*config->aws_token_file)
        buf_printf(errors, "%s: must be set when %s is\n",
                   *config->aws_role_arn ? "AWS_WEB_IDENTITY_TOKEN_FILE" : "AWS_ROLE_ARN",
                   *config->aws_role_arn ? "AWS_ROLE_ARN" : "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (*config->aws_role_arn && region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")]) {
        buf_str(errors, "AWS_REGION: must consist of a-z 0-9 -");
        config_append_bad(errors, region);
    }
    if (*config->aws_sts_endpoint)
        check_endpoint("AWS_ENDPOINT_URL_STS", config->aws_sts_endpoint, errors);
    if (*config->aws_metadata_endpoint)
        check_endpoint("AWS_EC2_METADATA_SERVICE_ENDPOINT", config->aws_metadata_endpoint, errors);
    if (*config->aws_container_url && !credentials_url_is_safe(config->aws_container_url)) {
        buf_str(errors, "AWS_CONTAINER_CREDENTIALS_FULL_URI: must be https://, or http:// on this machine");
        config_append_bad(errors, config->aws_container_url);
    }
    if (*path && *path != '/') {
        buf_str(errors, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: must begin with /");
        config_append_bad(errors, path);
    }
}

static void check_credentials(const struct config *config, struct buf *errors) {
    bool key = *config->aws_access_key_id.text, secret = *config->aws_secret_access_key.text;
    if (key && !secret)
        buf_str(errors, "AWS_SECRET_ACCESS_KEY: must be set when AWS_ACCESS_KEY_ID is\n");
    if (secret && !key)
        buf_str(errors, "AWS_ACCESS_KEY_ID: must be set when AWS_SECRET_ACCESS_KEY is\n");
    if (*config->aws_session_token.text && !key)
        buf_str(errors, "AWS_ACCESS_KEY_ID: must be set when AWS_SESSION_TOKEN is\n");
    check_sources(config, errors);
}

/* An issuer may be a URL. Then it must be possible to append paths to it (RFC 8414 §2). */
static void check_issuer(const struct config *config, struct buf *errors) {
    const char *issuer = config->jwt_issuer;
    size_t len = strlen(issuer);
    bool https = strncmp(issuer, "https://", 8) == 0, http = strncmp(issuer, "http://", 7) == 0;
    if (http && config->app_env == ENV_PRODUCTION)
        buf_str(errors, "JWT_ISSUER: must use https:// in production");
    else if ((https || http) && (strpbrk(issuer, "?# \t") || issuer[len - 1] == '/'))
        buf_str(errors, "JWT_ISSUER: a URL must not have a query, a fragment or a trailing /");
    else
        return;
    config_append_bad(errors, issuer);
}

static void check_networks(const char *name, const char *networks, struct buf *errors) {
    struct address_list list;
    if (address_list_parse(networks, &list))
        return;
    buf_printf(errors, "%s: must be a list of at most %d addresses or networks such as 10.0.0.0/8", name,
               ADDRESS_LIST_MAX);
    config_append_bad(errors, networks);
}

static void check_webhooks(const struct config *config, struct buf *errors) {
    int64_t pauses[CONFIG_MAX_DURATIONS];
    size_t count;
    check_networks("WEBHOOK_ALLOW_NETWORKS", config->webhook_allow_networks, errors);
    if (config_parse_durations(config->webhook_schedule, pauses, CONFIG_MAX_DURATIONS, &count))
        return;
    buf_printf(errors, "WEBHOOK_SCHEDULE: must be 1 to %d durations such as 5m, separated by commas",
               CONFIG_MAX_DURATIONS);
    config_append_bad(errors, config->webhook_schedule);
}

/* Events show the amount and the customer of their order. */
static void check_retention(const struct config *config, struct buf *errors) {
    int64_t retention = config->orders_retention;
    if (retention && retention < CONFIG_LEAST_RETENTION_MS)
        buf_str(errors, "ORDERS_RETENTION: must be 0, or 720h or more\n");
    else if (retention && config->service & CONFIG_ORDER && retention < config->events_retention)
        buf_str(errors, "ORDERS_RETENTION: must not be less than EVENTS_RETENTION\n");
}

static void check_currency(const char *code, struct buf *errors) {
    if (currency_is_supported(code))
        return;
    buf_str(errors,
            "DEFAULT_CURRENCY: must be a currency of ISO 4217 with two decimals or none, such as EUR");
    config_append_bad(errors, code);
}

static void check_origins(const char *origins, struct buf *errors) {
    struct buf fault = {0};
    if (!cors_origins_valid(origins, &fault))
        buf_printf(errors,
                   "CORS_ORIGINS: must be origins such as https://shop.example, separated by commas; %s\n",
                   fault.data ? fault.data : "out of memory");
    buf_free(&fault);
}

static void check_bind_address(const char *name, const char *text, struct buf *errors) {
    struct sockaddr_storage address;
    bool dual;
    if (address_to_listen(text, 0, &address, &dual))
        return;
    buf_printf(errors, "%s: must be an IPv4 or IPv6 address, without brackets", name);
    config_append_bad(errors, text);
}

static void check_tracing(const struct config *config, struct buf *errors) {
    const struct {
        const char *knob, *url;
    } urls[] = {{"OTEL_EXPORTER_OTLP_ENDPOINT", config->otlp_endpoint},
                {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", config->otlp_traces_endpoint}};
    for (size_t i = 0; i < 2; i++) {
        if (!*urls[i].url || tracing_url_is_valid(urls[i].url))
            continue;
        buf_printf(errors, "%s: must be http://host:port or https://host, perhaps with a path", urls[i].knob);
        config_append_bad(errors, urls[i].url);
    }
    if (!tracing_pairs_are_valid(config->otlp_headers.text))
        buf_str(errors, "OTEL_EXPORTER_OTLP_HEADERS: must be name=value pairs, separated by commas\n");
    if (!tracing_pairs_are_valid(config->otlp_traces_headers.text))
        buf_str(errors, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: must be name=value pairs, separated by commas\n");
    if (!tracing_pairs_are_valid(config->otel_resource_attributes)) {
        buf_str(errors, "OTEL_RESOURCE_ATTRIBUTES: must be name=value pairs, separated by commas");
        config_append_bad(errors, config->otel_resource_attributes);
    }
    double ratio;
    if (!tracing_parse_ratio(config->otel_sampler_arg, &ratio)) {
        buf_str(errors, "OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1");
        config_append_bad(errors, config->otel_sampler_arg);
    }
}

void config_unsafe(const struct config *config, struct buf *out) {
    if (config->service & CONFIG_BOTH && !*config->jwt_keys &&
        strcmp(config->jwt_secret.text, CONFIG_DEFAULT_JWT_SECRET) == 0)
        buf_str(out, "JWT_SECRET: the default is public and for development only\n");
    if (config->service & CONFIG_ALL && strcmp(config->db_password.text, CONFIG_DEFAULT_DB_PASSWORD) == 0)
        buf_str(out, "DB_PASSWORD: the default is public and for development only\n");
    if (config->service == CONFIG_ORDER &&
        strcmp(config->webhook_secrets_key.text, CONFIG_DEFAULT_WEBHOOK_KEY) == 0)
        buf_str(out, "WEBHOOK_SECRETS_KEY: the default is public and for development only\n");
    if (config->demo_clients)
        buf_str(out, "DEMO_CLIENTS: the demo clients have public secrets and are for development only\n");
    if (config->delivery_anonymous)
        buf_str(out, "DELIVERY_ANONYMOUS: access without a token is for development only\n");
}

void config_check_rules(struct config *config, struct buf *errors) {
    check_database(config, errors);
    check_endpoint("SQS_ENDPOINT", config->sqs_endpoint, errors);
    check_queues(config, errors);
    check_shards(config, errors);
    check_networks("TRUSTED_PROXIES", config->trusted_proxies, errors);
    check_webhooks(config, errors);
    check_retention(config, errors);
    check_currency(config->default_currency, errors);
    check_origins(config->cors_origins, errors);
    check_bind_address("BIND_ADDRESS", config->bind_address, errors);
    check_bind_address("METRICS_BIND_ADDRESS", config->metrics_bind_address, errors);
    check_credentials(config, errors);
    check_issuer(config, errors);
    check_tracing(config, errors);
    if (config->redis_tls && !cache_has_tls())
        buf_str(errors, "REDIS_TLS: must be false, as this build has no TLS support in hiredis\n");
    if (!*config->tls_cert_file != !*config->tls_key_file)
        buf_printf(errors, "%s: must be set when %s is\n",
                   *config->tls_cert_file ? "TLS_KEY_FILE" : "TLS_CERT_FILE",
                   *config->tls_cert_file ? "TLS_CERT_FILE" : "TLS_KEY_FILE");
    if (config->shutdown_delay >= config->shutdown_timeout)
        buf_str(errors, "SHUTDOWN_DELAY: must be shorter than SHUTDOWN_TIMEOUT, which includes it\n");
    if (config->app_env == ENV_PRODUCTION)
        config_unsafe(config, errors);
    if (config->app_env == ENV_PRODUCTION && *config->webhook_allow_networks)
        buf_printf(&config->warnings, "WEBHOOK_ALLOW_NETWORKS: clients can send requests to hosts in %s\n",
                   config->webhook_allow_networks);
    if (config->app_env == ENV_PRODUCTION && config->carrier_simulation)
        buf_str(&config->warnings,
                "CARRIER_SIMULATION: shipments get invented tracking numbers, and are reported "
                "as delivered although nobody delivers them\n");
}
