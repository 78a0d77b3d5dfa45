/* Secrets: from the environment, or from files that the environment names. */
#include "private.h"

#include <stdio.h>

const char *config_find_secret(const struct config_knob *knob, const char *(*lookup)(const char *name),
                               char text[static SECRET_SIZE], const char **file, struct buf *errors) {
    /* Returned instead of the default, which the rules would report as well. Long enough for every knob. */
    static const char unread[] = "(the file of the secret could not be read)";
    char name[64];
    snprintf(name, sizeof name, "%s_FILE", knob->name);
    const char *value = lookup(knob->name), *path = lookup(name);
    if (!path || !*path)
        return value;
    if (value && *value) {
        buf_printf(errors, "%s: must not be set when %s is\n", name, knob->name);
        return value;
    }
    *file = path;
    const char *fault = secret_read(path, text);
    if (!fault)
        return text;
    buf_printf(errors, "%s: cannot read a secret from the file (%s)", name, fault);
    config_append_bad(errors, path);
    return unread;
}
