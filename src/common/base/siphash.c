/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
#include "common/base/siphash.h"

struct state {
    uint64_t a, b, c, d;
};

static uint64_t siphash_rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static void mix(struct state *s, unsigned rounds) {
    while (rounds-- > 0) {
        s->a += s->b;
        s->c += s->d;
        s->b = siphash_rotate(s->b, 13) ^ s->a;
        s->d = siphash_rotate(s->d, 16) ^ s->c;
        s->a = siphash_rotate(s->a, 32) + s->d;
        s->c += s->b;
        s->b = siphash_rotate(s->b, 17) ^ s->c;
        s->d = siphash_rotate(s->d, 21) ^ s->a;
        s->c = siphash_rotate(s->c, 32);
    }
}

static void absorb(struct state *s, uint64_t word) {
    s->d ^= word;
    mix(s, 2);
    s->a ^= word;
}

/* Up to eight bytes as a number, the first one lowest. */
static uint64_t siphash_load(const uint8_t *bytes, size_t len) {
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t siphash(const uint8_t secret[static SIPHASH_SECRET_SIZE], const void *data, size_t len) {
    uint64_t low = siphash_load(secret, 8), high = siphash_load(secret + 8, 8);
    struct state s = {.a = low ^ 0x736f6d6570736575,
                      .b = high ^ 0x646f72616e646f6d,
                      .c = low ^ 0x6c7967656e657261,
                      .d = high ^ 0x7465646279746573};
    const uint8_t *bytes = data;
    size_t done = 0;
    for (; len - done >= 8; done += 8)
        absorb(&s, siphash_load(bytes + done, 8));
    absorb(&s, siphash_load(bytes + done, len - done) | (uint64_t)len << 56);
    s.c ^= 0xff;
    mix(&s, 4);
    return s.a ^ s.b ^ s.c ^ s.d;
}
