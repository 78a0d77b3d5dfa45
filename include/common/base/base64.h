/* Base64 (RFC 4648), strict: only characters of the alphabet, no leftover bits. So each value has exactly one
 * text. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for len bytes as base64url, with the NUL. */
#define BASE64URL_SIZE(len) (((len)*4 + 2) / 3 + 1)

/* base64url without padding; out holds BASE64URL_SIZE(len). Returns the length of the text. */
size_t base64url_encode(const void *bytes, size_t len, char *out);

/* Room for len bytes in the standard alphabet, with padding and the NUL. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* The standard alphabet, with padding; out holds BASE64_SIZE(len). Returns the length of the text. */
size_t base64_encode(const void *bytes, size_t len, char *out);

/* base64url without padding; out holds len * 3 / 4 bytes. */
bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len) MUST_CHECK;

/* The standard alphabet, with padding; out holds len * 3 / 4 bytes. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len) MUST_CHECK;
