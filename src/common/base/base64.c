/* Base64 and base64url. */
#include "common/base/base64.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static size_t encode_digits(const char digits[static 64], const void *bytes, size_t len, char *out) {
    const uint8_t *in = bytes;
    char *end = out;
    uint32_t bits = 0;
    unsigned pending = 0; /* how many of bits are not written yet */
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (pending += 8; pending >= 6; pending -= 6)
            *end++ = digits[bits >> (pending - 6) & 63];
    }
    if (pending > 0)
        *end++ = digits[bits << (6 - pending) & 63];
    *end = '\0';
    return (size_t)(end - out);
}

size_t base64url_encode(const void *bytes, size_t len, char *out) {
    return encode_digits(LETTERS_AND_DIGITS "-_", bytes, len, out);
}

size_t base64_encode(const void *bytes, size_t len, char *out) {
    size_t end = encode_digits(LETTERS_AND_DIGITS "+/", bytes, len, out);
    while (end % 4 != 0)
        out[end++] = '=';
    out[end] = '\0';
    return end;
}

/* The value of a digit, or -1; the last two digits depend on the alphabet. */
static int digit_value(char c, const char last[static 2]) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == last[0])
        return 62;
    return c == last[1] ? 63 : -1;
}

static bool base64_decode_digits(const char *text, size_t len, const char last[static 2], uint8_t *out,
                                 size_t *out_len) {
    if (len % 4 == 1)
        return false;
    size_t count = 0;
    uint32_t bits = 0;
    unsigned pending = 0;
    for (size_t i = 0; i < len; i++) {
        int value = digit_value(text[i], last);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        pending += 6;
        if (pending >= 8) {
            pending -= 8;
            out[count++] = (uint8_t)(bits >> pending);
        }
    }
    *out_len = count;
    return (bits & ((1U << pending) - 1)) == 0;
}

bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len) {
    return base64_decode_digits(text, len, "-_", out, out_len);
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len) {
    if (len % 4 != 0)
        return false;
    for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
        len--;
    return base64_decode_digits(text, len, "+/", out, out_len);
}
