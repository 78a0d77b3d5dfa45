/* A growable byte buffer for building text: replies, events, log lines, SQL parameters.
 *
 * Zero-initialise it. Appending returns no error. Out of memory sets `failed`, and later appends do nothing.
 * Whoever uses the result checks `failed` once. Not thread-safe. */
#pragma once

#include "common/base/attributes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NUL-terminated once anything was appended; NULL before */
    size_t len;
    size_t cap;
    bool failed;
};

void buf_append(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);

void buf_int(struct buf *b, int64_t number);

/* Empties the buffer and clears `failed`. Keeps the memory. */
void buf_clear(struct buf *b);

/* Gives the bytes to the caller, who frees them with free(), and empties b. NULL if b failed or is empty. */
char *buf_take(struct buf *b);

void buf_free(struct buf *b);
