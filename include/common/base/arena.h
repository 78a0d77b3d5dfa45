/* Memory of one request or one batch: allocated piece by piece, freed in one go.
 *
 * Zero-initialise it. A failed allocation sets `failed`. The owner checks that in one place, so a function in
 * between only has to return. Not thread-safe. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    bool failed; /* some allocation returned NULL */
};

/* Zeroed memory, aligned for any type, valid until arena_free; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;

/* Zeroed array; NULL when out of memory or when count * size overflows. */
void *arena_array(struct arena *a, size_t count, size_t size) MUST_CHECK;

/* NUL-terminated copies; NULL when out of memory. */
char *arena_memdup(struct arena *a, const char *text, size_t len) MUST_CHECK;
char *arena_strdup(struct arena *a, const char *text) MUST_CHECK;

/* Frees everything and clears `failed`. */
void arena_free(struct arena *a);
