/* SHA-256, HMAC-SHA256 and hex.
 *
 * OpenSSL's interface from before 3.0 allocates nothing, so hashing cannot fail. */
#define OPENSSL_API_COMPAT 10100
#include "common/base/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

void hex_encode(const void *bytes, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 0xf];
    }
    *out = '\0';
}

void sha256(const void *data, size_t len, uint8_t out[static SHA256_SIZE]) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, data, len);
    SHA256_Final(out, &context);
}

/* One half of an HMAC: the hash of the key, masked with a byte, and then of data. */
static void hash_with_key(const uint8_t key[static SHA256_CBLOCK], uint8_t mask, const void *data, size_t len,
                          uint8_t out[static SHA256_SIZE]) {
    uint8_t masked[SHA256_CBLOCK];
    SHA256_CTX context;
    for (size_t i = 0; i < sizeof masked; i++)
        masked[i] = key[i] ^ mask;
    SHA256_Init(&context);
    SHA256_Update(&context, masked, sizeof masked);
    SHA256_Update(&context, data, len);
    SHA256_Final(out, &context);
    OPENSSL_cleanse(masked, sizeof masked);
    OPENSSL_cleanse(&context, sizeof context);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[static SHA256_SIZE]) {
    uint8_t block[SHA256_CBLOCK] = {0}, inner[SHA256_SIZE];
    if (key_len > sizeof block)
        sha256(key, key_len, block);
    else
        memcpy(block, key, key_len);
    hash_with_key(block, 0x36, data, len, inner);
    hash_with_key(block, 0x5c, inner, sizeof inner, out);
    OPENSSL_cleanse(block, sizeof block);
}
