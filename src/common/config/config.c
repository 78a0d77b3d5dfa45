/* The configuration: all knobs, read from the environment. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

static bool is_string(const struct config_knob *knob) {
    return knob->type == CONFIG_STRING || knob->type == CONFIG_SECRET;
}

/* False when out of memory. */
static bool store(struct config *config, const struct config_knob *knob, const char *text, int64_t value) {
    void *field = (char *)config + knob->offset;
    if (is_string(knob))
        return (*(char **)field = strdup(text)) != NULL;
    if (knob->type == CONFIG_BOOLEAN)
        *(bool *)field = value == 1;
    else
        *(int64_t *)field = value;
    return true;
}

/* An invalid value is reported, and stored all the same. The rules then check it too, and the config is discarded
 * anyway. False when out of memory. */
static bool read_knob(struct config *config, const struct config_knob *knob, const char *text,
                      struct buf *errors) {
    if (!text || !*text)
        text = knob->fallback;
    int64_t value = 0;
    if (!config_parse_value(knob, text, &value)) {
        buf_printf(errors, "%s: must be ", knob->name);
        config_describe(knob, errors);
        if (knob->type == CONFIG_SECRET)
            buf_char(errors, '\n');
        else
            config_append_bad(errors, text);
    }
    return store(config, knob, text, value);
}

static bool read_all(struct config *config, const char *(*lookup)(const char *name), struct buf *errors) {
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        const char *text = NULL;
        char secret[CONFIG_SECRET_SIZE];
        if (knob->service & config->service)
            text = knob->type == CONFIG_SECRET ? config_find_secret(knob, lookup, secret, errors)
                                               : lookup(knob->name);
        if (!read_knob(config, knob, text, errors))
            return false;
    }
    return true;
}

struct config *config_load(enum config_service service, const char *(*lookup)(const char *name),
                           struct buf *errors) {
    size_t before = errors->len;
    struct config *config = calloc(1, sizeof *config);
    if (config)
        config->service = service;
    if (config && read_all(config, lookup, errors))
        config_check_rules(config, errors);
    else
        buf_str(errors, "out of memory\n");
    if (!config || errors->failed || errors->len > before) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < config_knob_count; i++)
        if (is_string(&config_knobs[i]))
            free(*(char **)((char *)config + config_knobs[i].offset));
    free(config);
}
