/* Making, reading and writing UUIDs. */
#include "common/base/uuid.h"

#include "common/base/random.h"

#include <string.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

static void uuid_set_time(struct uuid *id, uint64_t ms) {
    for (int i = 0; i < 6; i++)
        id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
}

struct uuid uuid_new(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    /* The fraction of the millisecond in 12 bits (RFC 9562 §6.2, method 3), in steps of about 0.25 us. */
    uint64_t fraction = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;

    struct uuid id;
    uuid_set_time(&id, ms);
    id.bytes[6] = (uint8_t)(0x70 | fraction >> 8);
    id.bytes[7] = (uint8_t)fraction;
    random_bytes(id.bytes + 8, 8);
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

struct uuid uuid_new_from(int64_t from_ms) {
    struct uuid id = uuid_new();
    if (uuid_time_ms(&id) < from_ms)
        uuid_set_time(&id, (uint64_t)from_ms);
    return id;
}

/* The value of a hex digit, or -1. */
static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool dash_before(int byte) {
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool uuid_parse(const char *text, struct uuid *out) {
    struct uuid id;
    for (int i = 0; i < 16; i++) {
        if (dash_before(i) && *text++ != '-')
            return false;
        int high = hex_value(text[0]);
        int low = high < 0 ? -1 : hex_value(text[1]);
        if (low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return false;
    *out = id;
    return true;
}

void uuid_format(const struct uuid *id, char text[static UUID_TEXT_SIZE]) {
    for (int i = 0; i < 16; i++) {
        if (dash_before(i))
            *text++ = '-';
        *text++ = hex_digits[id->bytes[i] >> 4];
        *text++ = hex_digits[id->bytes[i] & 0xf];
    }
    *text = '\0';
}

int64_t uuid_time_ms(const struct uuid *id) {
    int64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

bool uuid_has_time(const struct uuid *id) {
    return id->bytes[6] >> 4 == 7;
}

int uuid_compare(const struct uuid *a, const struct uuid *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

struct uuid uuid_lowest(int64_t ms) {
    struct uuid id = {{0}};
    for (int i = 0; ms > 0 && i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    return id;
}
