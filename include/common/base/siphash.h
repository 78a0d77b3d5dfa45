/* SipHash-2-4: a hash for tables whose keys come from outside. Without the secret nobody can choose keys that cause
 * collisions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_SECRET_SIZE 16

uint64_t siphash(const uint8_t secret[static SIPHASH_SECRET_SIZE], const void *data, size_t len);
