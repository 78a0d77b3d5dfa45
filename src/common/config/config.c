/* The configuration: all knobs, read from the environment. */
#include "common/queue/credentials.h"
#include "private.h"

#include <stdlib.h>
#include <string.h>

/* The copies of texts in a knob's field: a string is one, a secret also has the path of its file. */
static size_t texts_of(const struct config_knob *knob) {
    return knob->type == CONFIG_SECRET ? 2 : knob->type == CONFIG_STRING;
}

static char **text_of(struct config *config, const struct config_knob *knob, size_t i) {
    static const size_t places[] = {offsetof(struct secret_source, text),
                                    offsetof(struct secret_source, path)};
    return (char **)((char *)config + knob->offset + places[i]);
}

/* False when out of memory. */
static bool store(struct config *config, const struct config_knob *knob, const char *const texts[2],
                  int64_t value) {
    void *field = (char *)config + knob->offset;
    for (size_t i = 0; i < texts_of(knob); i++)
        if (texts[i] && !(*text_of(config, knob, i) = strdup(texts[i])))
            return false;
    if (texts_of(knob))
        return true;
    if (knob->type == CONFIG_BOOLEAN)
        *(bool *)field = value == 1;
    else
        *(int64_t *)field = value;
    return true;
}

bool config_refuse(const struct config_knob *knob, const char *text, struct buf *errors) {
    buf_printf(errors, "%s: must be ", knob->name);
    config_describe(knob, errors);
    if (knob->type == CONFIG_SECRET)
        buf_char(errors, '\n');
    else
        config_append_bad(errors, text);
    return false;
}

/* An invalid value is reported, and stored all the same. The rules then check it too, and the config is discarded
 * anyway. False when out of memory. */
static bool read_knob(struct config *config, const struct config_knob *knob, const char *text,
                      const char *file, struct buf *errors) {
    if (!text || !*text)
        text = knob->fallback;
    int64_t value = 0;
    if (!config_parse_value(knob, text, &value))
        (void)config_refuse(knob, text, errors);
    return store(config, knob, (const char *[]){text, file}, value);
}

static bool read_all(struct config *config, const char *(*lookup)(const char *name), struct buf *errors) {
    for (size_t i = 0; i < config_knob_count; i++) {
        const struct config_knob *knob = &config_knobs[i];
        const char *text = NULL, *file = NULL;
        char secret[SECRET_SIZE];
        if (knob->service & config->service)
            text = knob->type == CONFIG_SECRET ? config_find_secret(knob, lookup, secret, &file, errors)
                                               : lookup(knob->name);
        if (config_is_service_link(knob->name, text, lookup)) {
            buf_printf(&config->warnings,
                       "%s: %s is ignored, because Kubernetes wrote it for a service of that name; "
                       "enableServiceLinks: false prevents this\n",
                       knob->name, text);
            text = NULL;
        }
        if (!read_knob(config, knob, text, file, errors))
            return false;
    }
    return true;
}

static bool open_credentials(struct config *config) {
    struct credential_options options;
    config_credentials(config, &options);
    return (config->credentials = credentials_open(&options)) != NULL;
}

struct config *config_load(enum config_service service, const char *(*lookup)(const char *name),
                           struct buf *errors) {
    size_t before = errors->len;
    struct config *config = calloc(1, sizeof *config);
    if (config)
        config->service = service;
    bool whole = config && read_all(config, lookup, errors);
    if (whole)
        config_check_rules(config, errors);
    if (!whole || (!errors->failed && errors->len == before && !open_credentials(config)))
        buf_str(errors, "out of memory\n");
    if (!config || errors->failed || errors->len > before || !config->credentials) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < config_knob_count; i++)
        for (size_t j = 0; j < texts_of(&config_knobs[i]); j++)
            free(*text_of(config, &config_knobs[i], j));
    credentials_close(config->credentials);
    buf_free(&config->warnings);
    free(config);
}
