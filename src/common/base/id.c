/* UUIDs, random numbers, hex and SHA-256.
 *
 * OpenSSL's interface of before 3.0 to SHA-256 allocates nothing: it cannot fail. */
#define OPENSSL_API_COMPAT 10100
#include "common/base/id.h"
#include "common/base/log.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

struct uuid uuid_new(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    /* The fraction of the millisecond in 12 bits (RFC 9562 §6.2, method 3): about 0.25 us apart. */
    uint64_t fraction = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;

    struct uuid id;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | fraction >> 8);
    id.bytes[7] = (uint8_t)fraction;
    random_bytes(id.bytes + 8, 8);
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
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

int uuid_compare(const struct uuid *a, const struct uuid *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static void ask_kernel(unsigned char *bytes, size_t len) {
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            log_error(NULL, "no random bytes from the kernel: %s", strerror(errno));
            abort();
        }
        bytes += got;
        len -= (size_t)got;
    }
}

/* The kernel is asked for many bytes at a time: each request needs a few. */
void random_bytes(void *out, size_t len) {
    static _Thread_local unsigned char stock[512];
    static _Thread_local size_t left;
    if (len > sizeof stock) {
        ask_kernel(out, len);
        return;
    }
    if (left < len) {
        ask_kernel(stock, sizeof stock);
        left = sizeof stock;
    }
    left -= len;
    memcpy(out, stock + left, len);
    explicit_bzero(stock + left, len);
}

uint64_t random_below(uint64_t bound) {
    uint64_t excess = (UINT64_MAX % bound + 1) % bound; /* 2^64 mod bound */
    uint64_t number;
    do
        random_bytes(&number, sizeof number);
    while (number > UINT64_MAX - excess);
    return number % bound;
}

void hex_encode(const void *bytes, size_t len, char *out) {
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 0xf];
    }
    *out = '\0';
}

void sha256(const void *data, size_t len, uint8_t out[static SHA256_SIZE]) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, data, len);
    SHA256_Final(out, &context);
}
