/* What may change while a daemon runs, read again. */
#include "private.h"

#include <string.h>

static const struct config_knob *knob_named(const char *name) {
    const struct config_knob *knob = config_knobs;
    while (strcmp(knob->name, name) != 0)
        knob++;
    return knob;
}

bool config_reread_level(const struct config *config, int64_t *level, struct buf *errors) {
    const struct config_knob *knob = knob_named("LOG_LEVEL");
    struct buf text = {0};
    *level = config->log_level;
    if (!config->level_file)
        return true;
    bool good = config_find_in_env_file(config->level_file, knob->name, &text, errors);
    const char *value = text.len > 0 ? text.data : knob->fallback;
    if (good && !config_parse_value(knob, value, level))
        good = config_refuse(knob, value, errors);
    buf_free(&text);
    return good;
}

bool config_reread_jwt_secret(const struct config *config, char text[static SECRET_SIZE],
                              struct buf *errors) {
    const struct config_knob *knob = knob_named("JWT_SECRET");
    const char *fault = secret_read(config->jwt_secret.path, text);
    int64_t length;
    if (fault) {
        buf_printf(errors, "JWT_SECRET_FILE: cannot read a secret from the file (%s)", fault);
        config_append_bad(errors, config->jwt_secret.path);
        return false;
    }
    if (!config_parse_value(knob, text, &length))
        return config_refuse(knob, text, errors);
    if (config->app_env != ENV_PRODUCTION || strcmp(text, CONFIG_DEFAULT_JWT_SECRET) != 0)
        return true;
    buf_str(errors, "JWT_SECRET: the default is public and for development only\n");
    return false;
}
