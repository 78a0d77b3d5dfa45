/* Reading secrets from files. */
#include "common/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *secret_read(const char *path, char out[static SECRET_SIZE]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return strerror(errno);
    size_t len = fread(out, 1, SECRET_SIZE, file);
    const char *fault = ferror(file) ? strerror(errno) : NULL;
    fclose(file);
    if (fault || len == SECRET_SIZE)
        return fault ? fault : "too large";
    if (len > 0 && out[len - 1] == '\n')
        len--;
    if (len > 0 && out[len - 1] == '\r')
        len--;
    out[len] = '\0';
    if (len == 0)
        return "empty";
    return strlen(out) == len ? NULL : "not text";
}

const char *secret_now(const struct secret_source *secret, char out[static SECRET_SIZE]) {
    if (secret->path && *secret->path && !secret_read(secret->path, out))
        return out;
    return secret->text ? secret->text : "";
}
