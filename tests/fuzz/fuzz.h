/* What the fuzz targets share. A target is one file with this entry; libFuzzer calls it with what it makes
 * up, replay.c with the contents of files. */
#pragma once

#include "common/base/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that holds for every input. */
#define HOLDS(property)                                                                                      \
    do {                                                                                                     \
        if (!(property)) {                                                                                   \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property);                    \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static inline bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The input as text: up to its first NUL. The caller frees it. */
static inline char *text_of(const uint8_t *data, size_t size) {
    char *text = strndup((const char *)data, size);
    HOLDS(text);
    return text;
}

/* What we wrote must be JSON. The caller owns the result. */
static inline json_t *parsed(const char *text, size_t len) {
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    HOLDS(value);
    return value;
}
