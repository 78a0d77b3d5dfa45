/* Writing JSON into a buffer, value by value. Pure. */
#pragma once

#include "common/base/buf.h"

#include <stdint.h>

struct uuid;

/* Appends text as a JSON string, with quotes. text must be valid UTF-8: bytes above 0x7f are copied. */
void json_append_text(struct buf *b, const char *text);

/* Appends an id as a JSON string. */
void json_append_uuid(struct buf *b, const struct uuid *id);

/* Appends an amount of cents as a JSON number with two decimals, e.g. 1059.97. */
void json_append_money(struct buf *b, int64_t cents);

/* Appends a time in epoch milliseconds as a JSON string, e.g. "2026-01-31T08:15:30.123Z". */
void json_append_time(struct buf *b, int64_t epoch_ms);
