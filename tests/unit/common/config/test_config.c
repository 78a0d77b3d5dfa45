/* The configuration: values, rules, what is said about bad ones, and env.example. */
#include "common/config/config.h"
#include "common/db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

#define SECRET "a secret of our own, 32 bytes and more"

struct setting {
    const char *name, *value;
};

/* The environment of a test, "name=value" by pairs; what lookup reads. */
static struct setting settings[9];

static void set(const char *name, const char *value) {
    size_t i = 0;
    while (settings[i].name && strcmp(settings[i].name, name) != 0)
        i++;
    assert_true(i < sizeof settings / sizeof *settings - 1);
    settings[i] = (struct setting){name, value};
}

static const char *lookup(const char *name) {
    for (size_t i = 0; settings[i].name; i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return NULL;
}

static int fresh_settings(void **state) {
    (void)state;
    memset(settings, 0, sizeof settings);
    set("JWT_SECRET", SECRET);
    set("DB_PASSWORD", SECRET);
    set("WEBHOOK_SECRETS_KEY", SECRET);
    return 0;
}

static struct config *load(enum config_service service) {
    struct buf errors = {0};
    struct config *config = config_load(service, lookup, &errors);
    if (!config)
        fail_msg("%s", errors.data);
    buf_free(&errors);
    return config;
}

/* The errors of a configuration that must be refused; the caller frees them. */
static char *refused(enum config_service service) {
    struct buf errors = {0};
    assert_null(config_load(service, lookup, &errors));
    return buf_take(&errors);
}

static const struct config_knob *find_knob(const char *name) {
    for (size_t i = 0; i < config_knob_count; i++)
        if (strcmp(config_knobs[i].name, name) == 0)
            return &config_knobs[i];
    fail_msg("no knob %s", name);
    return NULL;
}

static void the_defaults_are_those_of_the_table(void **state) {
    (void)state;
    struct config *config = load(CONFIG_BOTH);
    assert_int_equal(config->app_env, ENV_PRODUCTION);
    assert_int_equal(config->order_port, 3001);
    assert_int_equal(config->delivery_port, 3002);
    assert_string_equal(config->db_port, "5432");
    assert_string_equal(config->redis_password.text, "");
    assert_int_equal(config->redis_timeout, 250);
    assert_int_equal(config->jwt_expires_in, 24 * 3600 * 1000);
    assert_int_equal(config->idempotency_fingerprint_ttl, 86400 * 1000);
    assert_false(config->carrier_simulation);
    assert_false(config->demo_clients);
    config_free(config);
}

static void good_values_are_taken(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *shown;
    } cases[] = {
        {"JWT_EXPIRES_IN", "90m", "90m"},
        {"JWT_EXPIRES_IN", "3600", "1h"},
        {"REDIS_TIMEOUT", "1500ms", "1500ms"},
        {"SQS_WAIT_TIME", "1", "1s"},
        {"BATCH_SIZE", "1024", "1024"},
        {"LOG_LEVEL", "warn", "warn"},
        {"CARRIER_SIMULATION", "off", "false"},
        {"CARRIER_SIMULATION", "1", "true"},
        {"DB_SSLMODE", "verify-full", "verify-full"},
        {"DB_PASSWORD", "tell nobody", "***"},
        {"DB_NAME", "", "orderprocessing"},
        {"BIND_ADDRESS", "::", "::"},
        {"BIND_ADDRESS", "2001:db8::1", "2001:db8::1"},
        {"TRUSTED_PROXIES", "", ""},
        {"WEBHOOK_SCHEDULE", "250ms,1h", "250ms,1h"},
        {"TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1", "10.0.0.0/8, 2001:db8::1"},
        {"CORS_ORIGINS", "https://shop.example, http://localhost:8080",
         "https://shop.example, http://localhost:8080"},
        {"RATE_LIMIT", "0", "0"},
        {"SQS_ENDPOINT", "https://sqs.eu-central-1.amazonaws.com", "https://sqs.eu-central-1.amazonaws.com"},
        {"SQS_ENDPOINT", "http://[::1]:9324", "http://[::1]:9324"},
        {"JWT_ISSUER", "https://orders.example.com/shop", "https://orders.example.com/shop"},
        {"JWT_ISSUER", "just a name/", "just a name/"},
    };
    for_each_row(i, cases, "%s=%s", cases[i].name, cases[i].text) {
        fresh_settings(NULL);
        set(cases[i].name, cases[i].text);
        struct config *config = load(CONFIG_BOTH);
        struct buf shown = {0};
        config_show(config, find_knob(cases[i].name), &shown);
        assert_string_equal(shown.data, cases[i].shown);
        buf_free(&shown);
        config_free(config);
    }
}

static void bad_values_are_refused(void **state) {
    (void)state;
    static const struct setting cases[] = {
        {"BATCH_SIZE", "0"},
        {"BATCH_SIZE", "1025"},
        {"BATCH_SIZE", "12x"},
        {"BATCH_SIZE", " 12"},
        {"BATCH_SIZE", "-1"},
        {"BATCH_SIZE", "99999999999999999999"},
        {"HTTP_TIMEOUT", "0"},
        {"HTTP_TIMEOUT", "999ms"},
        {"HTTP_TIMEOUT", "2h"},
        {"HTTP_TIMEOUT", "10 s"},
        {"HTTP_TIMEOUT", "10d"},
        {"HTTP_TIMEOUT", "s"},
        {"HTTP_TIMEOUT", "9223372036854775807h"},
        {"SQS_WAIT_TIME", "21s"},
        {"APP_ENV", "prod"},
        {"BIND_ADDRESS", "localhost"},
        {"BIND_ADDRESS", "[::1]"},
        {"BIND_ADDRESS", "127.0.0.1:80"},
        {"BIND_ADDRESS", "fe80::1%lo"},
        {"TRUSTED_PROXIES", "proxy.example"},
        {"WEBHOOK_ALLOW_NETWORKS", "receiver.example"},
        {"WEBHOOK_SCHEDULE", "5s,"},
        {"WEBHOOK_SCHEDULE", "5s,soon"},
        {"WEBHOOK_SCHEDULE", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"},
        {"WEBHOOK_SECRETS_KEY", "a key that is short"},
        {"WEBHOOK_TIMEOUT", "10m"},
        {"TRUSTED_PROXIES", "10.0.0.0/33"},
        {"CORS_ORIGINS", "*"},
        {"CORS_ORIGINS", "https://shop.example/"},
        {"RATE_LIMIT", "1000001"},
        {"APP_ENV", "production|development"},
        {"CARRIER_SIMULATION", "yes"},
        {"DB_SSLMODE", "on"},
        {"DB_HOST", "a,"},
        {"DB_HOST", "a,,b"},
        {"DB_HOST", "a, b"},
        {"DB_HOST", "a,b,c,d,e,f,g,h,i"},
        {"DB_READ_HOST", "a,,b"},
        {"DB_POOLER", "session"},
        {"DB_DIRECT_HOST", "postgres"},
        {"DB_PORT", "0"},
        {"DB_PORT", "65536"},
        {"DB_PORT", "postgres"},
        {"DB_USER", "a\nb"},
        {"JWT_SECRET", "31 bytes are one byte too short"},
        {"JWT_ISSUER", "http://orders.example.com"},
        {"JWT_ISSUER", "https://orders.example.com/"},
        {"JWT_ISSUER", "https://orders.example.com/?a"},
        {"JWT_ISSUER", "https://orders.example.com#a"},
        {"JWT_ISSUER", "https://orders.example.com /a"},
        {"SHUTDOWN_DELAY", "20s"},
        {"SQS_ENDPOINT", "localhost:9324"},
        {"SQS_ENDPOINT", "ftp://localhost"},
        {"SQS_ENDPOINT", "http://"},
        {"SQS_ENDPOINT", "http://localhost:9324/queue"},
        {"SQS_ENDPOINT", "http://user@localhost"},
        {"ORDERS_QUEUE", "orders-queue"},
        {"ORDERS_QUEUE", ".fifo"},
        {"ORDERS_QUEUE", "orders.queue.fifo"},
        {"ORDERS_QUEUE", "orders-queue.fifo "},
        {"ORDERS_DLQ", "orders-queue.fifo"},
        {"ORDERS_DLQ", "a23456789012345678901234567890123456789012345678901234567890123456789012345678.fifo"},
    };
    for_each_row(i, cases, "%s=%s", cases[i].name, cases[i].value) {
        fresh_settings(NULL);
        set(cases[i].name, cases[i].value);
        char *errors = refused(CONFIG_BOTH);
        size_t len = strlen(cases[i].name);
        if (strncmp(errors, cases[i].name, len) != 0 || errors[len] != ':' ||
            strchr(errors, '\n') != errors + strlen(errors) - 1)
            fail_msg("%s=%s was answered: %s", cases[i].name, cases[i].value, errors);
        free(errors);
    }
}

static void a_pooler_needs_the_database_itself(void **state) {
    (void)state;
    set("DB_POOLER", "transaction");
    char *errors = refused(CONFIG_ORDER);
    assert_memory_equal(errors, "DB_DIRECT_HOST:", 15);
    free(errors);
    set("DB_DIRECT_HOST", "a,b");
    set("DB_DIRECT_PORT", "1,2,3");
    errors = refused(CONFIG_ORDER);
    assert_memory_equal(errors, "DB_DIRECT_PORT:", 15);
    free(errors);
    set("DB_DIRECT_PORT", "5432");
    config_free(load(CONFIG_ORDER));
}

static void standbys_are_read_from_when_named(void **state) {
    struct db_options options;
    (void)state, set("DB_READ_HOST", "a,b");
    struct config *config = load(CONFIG_ORDER);
    assert_true(config_db_read(config, "order-service", &options) && options.standby);
    config_free(config);
}

static void credentials_go_together(void **state) {
    (void)state;
    set("AWS_ACCESS_KEY_ID", "key");
    char *errors = refused(CONFIG_ORDER);
    assert_memory_equal(errors, "AWS_SECRET_ACCESS_KEY:", 22);
    free(errors);

    set("AWS_SECRET_ACCESS_KEY", "secret");
    set("AWS_SESSION_TOKEN", "token");
    config_free(load(CONFIG_ORDER));

    set("AWS_ACCESS_KEY_ID", "");
    errors = refused(CONFIG_ORDER);
    assert_memory_equal(errors, "AWS_ACCESS_KEY_ID:", 18);
    free(errors);
}

static void all_faults_are_told_at_once_and_no_secret(void **state) {
    (void)state;
    set("BATCH_SIZE", "many");
    set("DB_HOST", "a\tb");
    set("DB_PASSWORD", "hunter2\n");
    set("SQS_ENDPOINT", "nowhere");
    char *errors = refused(CONFIG_DELIVERY);
    assert_non_null(strstr(errors, "BATCH_SIZE: must be a whole number from 1 to 1024, not 'many'\n"));
    assert_non_null(strstr(errors, "DB_HOST:"));
    assert_non_null(strstr(errors, "DB_PASSWORD:"));
    assert_non_null(strstr(errors, "SQS_ENDPOINT:"));
    assert_null(strstr(errors, "hunter2"));
    free(errors);
}

static void production_refuses_what_development_allows(void **state) {
    (void)state;
    set("JWT_SECRET", CONFIG_DEFAULT_JWT_SECRET);
    set("DB_PASSWORD", CONFIG_DEFAULT_DB_PASSWORD);
    set("DEMO_CLIENTS", "true");
    set("DELIVERY_ANONYMOUS", "true");
    char *errors = refused(CONFIG_BOTH);
    assert_non_null(strstr(errors, "JWT_SECRET:"));
    assert_non_null(strstr(errors, "DB_PASSWORD:"));
    assert_non_null(strstr(errors, "DEMO_CLIENTS:"));
    assert_non_null(strstr(errors, "DELIVERY_ANONYMOUS:"));

    set("APP_ENV", "development");
    set("JWT_ISSUER", "http://localhost:3001");
    struct config *config = load(CONFIG_BOTH);
    struct buf warnings = {0};
    config_unsafe(config, &warnings);
    assert_string_equal(warnings.data, errors);
    buf_free(&warnings);
    config_free(config);
    free(errors);
}

static void production_has_a_key_of_webhooks_and_tells_of_opened_networks(void **state) {
    (void)state;
    set("WEBHOOK_SECRETS_KEY", "");
    config_free(load(CONFIG_DELIVERY));
    char *errors = refused(CONFIG_ORDER);
    assert_string_equal(errors, "WEBHOOK_SECRETS_KEY: the default is public and for development only\n");
    free(errors);
    set("WEBHOOK_SECRETS_KEY", SECRET);
    set("WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8");
    struct config *config = load(CONFIG_ORDER);
    assert_memory_equal(config->warnings.data, "WEBHOOK_ALLOW_NETWORKS: ", 24);
    config_free(config);
}

/* It invents deliveries, so whoever wants it there is told. */
static void production_has_no_simulated_carrier_unless_asked(void **state) {
    (void)state;
    struct config *config = load(CONFIG_DELIVERY);
    assert_int_equal(config->warnings.len, 0);
    config_free(config);
    set("CARRIER_SIMULATION", "true");
    config = load(CONFIG_DELIVERY);
    assert_memory_equal(config->warnings.data, "CARRIER_SIMULATION: ", 20);
    config_free(config);
    set("APP_ENV", "development");
    config = load(CONFIG_DELIVERY);
    assert_int_equal(config->warnings.len, 0);
    config_free(config);
}

static void what_the_platform_wrote_about_services_is_no_setting(void **state) {
    (void)state;
    set("REDIS_PORT", "tcp://10.96.0.5:6379");
    set("DB_PORT", "tcp://10.96.0.6:5433");
    set("ORDER_PORT", "tcp://10.96.0.7:80");
    set("ORDER_SERVICE_PORT", "80");
    struct config *config = load(CONFIG_ORDER);
    assert_int_equal(config->redis_port, 6379);
    assert_string_equal(config->db_port, "5432");
    assert_int_equal(config->order_port, 3001);
    assert_non_null(strstr(config->warnings.data, "REDIS_PORT: tcp://10.96.0.5:6379 is ignored"));
    assert_non_null(strstr(config->warnings.data, "DB_PORT: "));
    assert_non_null(strstr(config->warnings.data, "ORDER_SERVICE_PORT: 80 is ignored"));
    config_free(config);
}

static void a_port_that_the_operator_wrote_counts(void **state) {
    (void)state;
    set("ORDER_PORT", "tcp://10.96.0.7:80");
    set("ORDER_SERVICE_PORT", "8080");
    struct config *config = load(CONFIG_ORDER);
    assert_int_equal(config->order_port, 8080);
    assert_int_equal(config->warnings.len, 0);
    config_free(config);
    set("REDIS_PORT", "redis://10.96.0.5:6379");
    free(refused(CONFIG_ORDER));
}

static void a_command_needs_the_database_only(void **state) {
    (void)state;
    fresh_settings(NULL);
    set("JWT_SECRET", "");
    set("JWT_SECRET_FILE", "/nowhere/secret");
    set("SQS_ENDPOINT", "nowhere");
    config_free(load(CONFIG_COMMAND));
    set("DB_PASSWORD", "");
    free(refused(CONFIG_COMMAND));
}

static void a_command_that_cleans_the_cache_needs_redis_too(void **state) {
    (void)state;
    fresh_settings(NULL);
    set("JWT_SECRET", "");
    set("REDIS_PORT", "7000");
    set("ORDER_VIEW_TTL", "2s");
    struct config *config = load(CONFIG_CACHE_COMMAND);
    assert_int_equal(config->redis_port, 7000);
    assert_int_equal(config->order_view_ttl, 2000);
    config_free(config);
    set("REDIS_PORT", "0");
    free(refused(CONFIG_CACHE_COMMAND));
    config_free(load(CONFIG_COMMAND));
}

static void keys_make_the_secret_unimportant(void **state) {
    (void)state;
    set("JWT_SECRET", CONFIG_DEFAULT_JWT_SECRET);
    set("JWT_KEYS", "/etc/order-svc/keys");
    config_free(load(CONFIG_ORDER));
}

static void the_other_daemons_knobs_do_not_matter(void **state) {
    (void)state;
    set("REDIS_PORT", "none");
    set("CARRIER_SHIP_DELAY", "soon");
    struct buf errors = {0};
    assert_null(config_load(CONFIG_ORDER, lookup, &errors));
    assert_non_null(strstr(errors.data, "REDIS_PORT"));
    assert_null(strstr(errors.data, "CARRIER_SHIP_DELAY"));
    buf_free(&errors);
    set("CARRIER_SHIP_DELAY", "1s");
    config_free(load(CONFIG_DELIVERY));
}

/* The value env.example gives a knob, once and only once. */
static void example_value(const char *text, const char *name, char value[static 256]) {
    char line[64];
    snprintf(line, sizeof line, "\n%s=", name);
    const char *found = strstr(text, line);
    if (!found)
        fail_msg("env.example does not name %s", name);
    found += strlen(line);
    assert_null(strstr(found, line));
    snprintf(value, 256, "%.*s", (int)strcspn(found, "\n"), found);
}

static void env_example_names_every_knob(void **state) {
    (void)state;
    static const struct setting development[] = {{"APP_ENV", "development"},     {"DEMO_CLIENTS", "true"},
                                                 {"DELIVERY_ANONYMOUS", "true"}, {"RATE_LIMIT", "0"},
                                                 {"RATE_LIMIT_ADDRESS", "0"},    {"ORDER_RATE_LIMIT", "0"},
                                                 {"CARRIER_SIMULATION", "true"}};
    char text[32768];
    FILE *file = fopen(PROJECT_ROOT "/env.example", "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    assert_true(len < sizeof text - 1);
    text[len] = '\0';
    fclose(file);
    for (size_t i = 0; i < config_knob_count; i++) {
        const char *expected = config_knobs[i].fallback;
        if (strcmp(config_knobs[i].name, "METRICS_PORT") == 0)
            expected = ""; /* each daemon has a default of its own */
        for (size_t j = 0; j < sizeof development / sizeof *development; j++)
            if (strcmp(config_knobs[i].name, development[j].name) == 0)
                expected = development[j].value;
        char value[256];
        example_value(text, config_knobs[i].name, value);
        assert_string_equal(value, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_defaults_are_those_of_the_table, fresh_settings),
        cmocka_unit_test_setup(good_values_are_taken, fresh_settings),
        cmocka_unit_test_setup(bad_values_are_refused, fresh_settings),
        cmocka_unit_test_setup(a_pooler_needs_the_database_itself, fresh_settings),
        cmocka_unit_test_setup(standbys_are_read_from_when_named, fresh_settings),
        cmocka_unit_test_setup(credentials_go_together, fresh_settings),
        cmocka_unit_test_setup(all_faults_are_told_at_once_and_no_secret, fresh_settings),
        cmocka_unit_test_setup(production_refuses_what_development_allows, fresh_settings),
        cmocka_unit_test_setup(production_has_a_key_of_webhooks_and_tells_of_opened_networks, fresh_settings),
        cmocka_unit_test_setup(a_command_needs_the_database_only, fresh_settings),
        cmocka_unit_test_setup(a_command_that_cleans_the_cache_needs_redis_too, fresh_settings),
        cmocka_unit_test_setup(production_has_no_simulated_carrier_unless_asked, fresh_settings),
        cmocka_unit_test_setup(what_the_platform_wrote_about_services_is_no_setting, fresh_settings),
        cmocka_unit_test_setup(a_port_that_the_operator_wrote_counts, fresh_settings),
        cmocka_unit_test_setup(keys_make_the_secret_unimportant, fresh_settings),
        cmocka_unit_test_setup(the_other_daemons_knobs_do_not_matter, fresh_settings),
        cmocka_unit_test(env_example_names_every_knob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
