/* UUIDs: version 7 (RFC 9562), so that ids made later sort later and index inserts stay at the end. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37

struct uuid {
    uint8_t bytes[16];
};

/* A new UUIDv7. Ends the process when the kernel gives no random bytes: no id is better than a guessable one.
 */
struct uuid uuid_new(void);

/* Accepts exactly the 36-character form, either case; false otherwise, *out untouched. */
bool uuid_parse(const char *text, struct uuid *out) MUST_CHECK;

void uuid_format(const struct uuid *id, char text[static UUID_TEXT_SIZE]);

/* When a UUIDv7 was made, in milliseconds since the epoch. */
int64_t uuid_time_ms(const struct uuid *id);

/* Order of the bytes, as memcmp and as PostgreSQL's uuid. */
int uuid_compare(const struct uuid *a, const struct uuid *b);
