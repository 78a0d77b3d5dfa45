/* Random numbers from the kernel. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Cryptographically random bytes. Ends the process when the kernel has none: no secret is better than a guessable
 * one. */
void random_bytes(void *out, size_t len);

/* A uniform number in [0, bound), for jitter. bound > 0. */
uint64_t random_below(uint64_t bound);
