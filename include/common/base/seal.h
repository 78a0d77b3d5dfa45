/* Encrypting a small secret for storage, with AES-256-GCM. Any thread.
 *
 * A sealed secret opens with the same key and the same name only. So it can be neither read nor moved to another row. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_NONCE_SIZE 12
#define SEAL_TAG_SIZE 16
#define SEALED_SIZE(len) (SEAL_NONCE_SIZE + (len) + SEAL_TAG_SIZE)

/* key is any text; its SHA-256 is the key of the cipher, so it must be hard to guess. out holds SEALED_SIZE(len). False
 * when out of memory. */
bool seal(const char *key, const void *name, size_t name_len, const void *secret, size_t len,
          uint8_t *out) MUST_CHECK;

/* out holds len bytes, and sealed SEALED_SIZE(len). False when it is not what seal made with this key and name, or when
 * out of memory. */
bool seal_open(const char *key, const void *name, size_t name_len, const uint8_t *sealed, size_t len,
               void *out) MUST_CHECK;
