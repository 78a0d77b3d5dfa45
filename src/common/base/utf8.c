/* Checking UTF-8. */
#include "common/base/utf8.h"

#include <stddef.h>

/* The well-formed sequences by their first byte (RFC 3629 §4). All bytes after the second are 80 to BF. */
static const struct {
    unsigned char first, last;
    unsigned char length;
    unsigned char low, high; /* of the second byte */
} sequences[] = {
    {0x01, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

enum { SEQUENCES = sizeof sequences / sizeof *sequences };

/* The length of the sequence at the start of text; 0 when it is malformed. */
static size_t sequence_length(const unsigned char *text) {
    size_t i = 0;
    while (i < SEQUENCES && text[0] > sequences[i].last)
        i++;
    if (i == SEQUENCES || text[0] < sequences[i].first)
        return 0;
    size_t length = sequences[i].length;
    if (length > 1 && (text[1] < sequences[i].low || text[1] > sequences[i].high))
        return 0;
    for (size_t k = 2; k < length; k++)
        if ((text[k] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool utf8_valid(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    size_t length = 1;
    for (; *at && length; at += length)
        length = sequence_length(at);
    return length > 0;
}
