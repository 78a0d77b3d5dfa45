/* The growable text buffer. */
#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

/* Makes room for extra bytes and the NUL after them. */
static bool reserve(struct buf *b, size_t extra) {
    if (b->failed)
        return false;
    if (extra < b->cap - b->len)
        return true;

    size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;
    while (cap - b->len <= extra) {
        if (cap > PTRDIFF_MAX / 2) {
            b->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_append(struct buf *b, const void *data, size_t len) {
    if (!reserve(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

void buf_char(struct buf *b, char c) {
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args) {
    if (!reserve(b, 0))
        return;
    size_t room = b->cap - b->len; /* most texts fit at once */
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(b->data + b->len, room, format, args);
    if (len < 0)
        b->failed = true;
    else if ((size_t)len < room)
        b->len += (size_t)len;
    else if (reserve(b, (size_t)len))
        b->len += (size_t)vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
    va_end(again);
    if (b->failed)
        b->data[b->len] = '\0';
}

void buf_int(struct buf *b, int64_t number) {
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char text[20]; /* enough for INT64_MIN */
    size_t first = sizeof text;
    do
        text[--first] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        text[--first] = '-';
    buf_append(b, text + first, sizeof text - first);
}

void buf_clear(struct buf *b) {
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_take(struct buf *b) {
    char *data = NULL;
    if (!b->failed && b->len > 0) {
        data = b->data;
        b->data = NULL;
    }
    buf_free(b);
    return data;
}

void buf_free(struct buf *b) {
    free(b->data);
    *b = (struct buf){0};
}
