/* Secrets: from the environment, or from files that the environment names. */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Reads the file without its trailing line break. Returns NULL, or the reason why the file cannot be used. */
static const char *read_file(const char *path, char text[static CONFIG_SECRET_SIZE]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return strerror(errno);
    size_t len = fread(text, 1, CONFIG_SECRET_SIZE, file);
    const char *fault = ferror(file) ? strerror(errno) : NULL;
    fclose(file);
    if (fault || len == CONFIG_SECRET_SIZE)
        return fault ? fault : "too large";
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    text[len] = '\0';
    if (len == 0)
        return "empty";
    return strlen(text) == len ? NULL : "not text";
}

const char *config_find_secret(const struct config_knob *knob, const char *(*lookup)(const char *name),
                               char text[static CONFIG_SECRET_SIZE], struct buf *errors) {
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
    const char *fault = read_file(path, text);
    if (!fault)
        return text;
    buf_printf(errors, "%s: cannot read a secret from the file (%s)", name, fault);
    config_append_bad(errors, path);
    return unread;
}
