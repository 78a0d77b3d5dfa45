/* SHA-256, HMAC-SHA256, and bytes as hex. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

void sha256(const void *data, size_t len, uint8_t out[static SHA256_SIZE]);

/* HMAC-SHA256 (RFC 2104). */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[static SHA256_SIZE]);

/* Writes len bytes as lower-case hex. out holds 2 * len + 1 characters. */
void hex_encode(const void *bytes, size_t len, char *out);
