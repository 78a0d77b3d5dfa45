/* Fuzz target: the .env file and the values in it. What is accepted is within its bounds and comes out as it
 * went in; what is refused is named, and secrets never are. */
#include "fuzz.h"

#include "common/config/config.h"
#include "common/token/token.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MAX_VARIABLES = 256 };

static struct { char *name, *value; } variables[MAX_VARIABLES];
static size_t variable_count;

static const char *lookup(const char *name) {
    for (size_t i = 0; i < variable_count; i++)
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    return NULL;
}

/* Stands for libc's, whose environment would grow for ever. */
int setenv(const char *name, const char *value, int overwrite) {
    HOLDS(*name && name[strcspn(name, "= \t\r\n#\"'")] == '\0' && !strpbrk(value, "\n") && !overwrite);
    if (lookup(name) || variable_count == MAX_VARIABLES)
        return 0;
    variables[variable_count].name = strdup(name);
    variables[variable_count++].value = strdup(value);
    return 0;
}

static void forget_variables(void) {
    while (variable_count > 0) {
        free(variables[--variable_count].name);
        free(variables[variable_count].value);
    }
}

static bool read_file(const uint8_t *data, size_t size) {
    struct buf errors = {0};
    char path[64];
    int file = memfd_create("env", 0);
    HOLDS(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    bool good = config_read_env_file(path, &errors);
    HOLDS(good == (errors.len == 0));
    HOLDS(!good || memchr(data, '\0', size) == NULL);
    close(file);
    buf_free(&errors);
    return good;
}

/* Every knob is within its bounds. */
static void check_bounds(const struct config *config, const struct config_knob *knob) {
    const void *field = (const char *)config + knob->offset;
    switch (knob->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET: {
        size_t len = strlen(*(char *const *)field);
        HOLDS((int64_t)len >= knob->min && (int64_t)len <= knob->max);
        break;
    }
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
        HOLDS(*(const int64_t *)field >= knob->min && *(const int64_t *)field <= knob->max);
        break;
    case CONFIG_CHOICE:
        HOLDS(*(const int64_t *)field >= 0 && *(const int64_t *)field <= 3);
        break;
    case CONFIG_BOOLEAN:
        break;
    }
}

/* The values as --print-config shows them. */
static void show(const struct config *config, struct buf *out) {
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        check_bounds(config, knob);
        buf_printf(out, "%s=", knob->name);
        config_show(config, knob, out);
        buf_char(out, '\n');
    }
}

/* What is shown means the same when it is read. */
static void check_shown(struct config *config) {
    struct buf first = {0}, second = {0}, errors = {0};
    show(config, &first);
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        struct buf value = {0};
        size_t at = 0;
        config_show(config, knob, &value);
        while (at < variable_count && strcmp(variables[at].name, knob->name) != 0)
            at++;
        if (knob->type != CONFIG_SECRET && at < variable_count && value.data) {
            free(variables[at].value);
            variables[at].value = strdup(value.data);
        }
        buf_free(&value);
    }
    struct config *again = config_load(config->service, lookup, &errors);
    HOLDS(again && errors.len == 0);
    show(again, &second);
    HOLDS(same_text(first.data, second.data));
    config_free(again);
    buf_free(&first);
    buf_free(&second);
}

/* Other secrets of the same lengths and kind lead to the same words; the defaults are known. */
static void check_secrets(enum config_service service, const char *said) {
    struct buf errors = {0};
    for (size_t i = 0; i < config_knob_count; i++) {
        if (config_knobs[i].type != CONFIG_SECRET)
            continue;
        for (size_t k = 0; k < variable_count; k++)
            if (strcmp(variables[k].name, config_knobs[i].name) == 0 &&
                strcmp(variables[k].value, CONFIG_DEFAULT_JWT_SECRET) != 0 &&
                strcmp(variables[k].value, CONFIG_DEFAULT_WEBHOOK_KEY) != 0 &&
                strcmp(variables[k].value, CONFIG_DEFAULT_DB_PASSWORD) != 0)
                for (char *c = variables[k].value; *c; c++)
                    *c = (*c > 0 && *c < ' ') || *c == 127 ? *c : 'z';
    }
    struct config *config = config_load(service, lookup, &errors);
    HOLDS(!config && same_text(errors.data, said));
    buf_free(&errors);
}

static void load(enum config_service service) {
    struct buf errors = {0};
    struct config *config = config_load(service, lookup, &errors);
    HOLDS(!config == (errors.len > 0));
    if (config) {
        HOLDS(config->app_env == ENV_DEVELOPMENT ||
              strcmp(config->jwt_secret.text, CONFIG_DEFAULT_JWT_SECRET) != 0);
        HOLDS(strlen(config->jwt_secret.text) >= TOKEN_MIN_SECRET);
        HOLDS(config->shutdown_delay < config->shutdown_timeout);
        check_shown(config);
    } else {
        HOLDS(errors.data[errors.len - 1] == '\n');
        check_secrets(service, errors.data);
    }
    config_free(config);
    buf_free(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_file(data, size);
    load(CONFIG_ORDER);
    load(CONFIG_DELIVERY);
    forget_variables();
    return 0;
}
