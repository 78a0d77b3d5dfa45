/* SHA-256 and hex.
 *
 * OpenSSL's interface from before 3.0 allocates nothing, so hashing cannot fail. */
#define OPENSSL_API_COMPAT 10100
#include "common/base/digest.h"

#include <openssl/sha.h>

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
