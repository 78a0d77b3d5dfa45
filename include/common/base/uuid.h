/* UUIDs of version 7 (RFC 9562): newer ids sort after older ones, so index inserts stay at the end. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37

struct uuid {
    uint8_t bytes[16];
};

/* A new UUIDv7. Aborts when the kernel provides no random bytes: no id is better than a guessable one. */
struct uuid uuid_new(void);

/* A new UUIDv7 whose time is from_ms at the earliest. */
struct uuid uuid_new_from(int64_t from_ms);

/* Accepts exactly the 36-character form, in either case. Otherwise returns false and leaves *out unchanged. */
bool uuid_parse(const char *text, struct uuid *out) MUST_CHECK;

void uuid_format(const struct uuid *id, char text[static UUID_TEXT_SIZE]);

/* The id below all UUIDv7 that were made at this time or later. Zeros for a time before 1970. */
struct uuid uuid_lowest(int64_t ms);

/* The time at which a UUIDv7 was made, in milliseconds since 1970. */
int64_t uuid_time_ms(const struct uuid *id);

/* Whether the id is of version 7, and so has a time. */
bool uuid_has_time(const struct uuid *id);

/* Compares the bytes, in the order of memcmp and of PostgreSQL's uuid. */
int uuid_compare(const struct uuid *a, const struct uuid *b);
