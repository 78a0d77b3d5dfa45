/* Random numbers from the kernel. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills out with cryptographically secure random bytes. Aborts when the kernel provides none: no secret is better
 * than a guessable one. */
void random_bytes(void *out, size_t len);

/* A uniform random number in [0, bound), for jitter. bound > 0. */
uint64_t random_below(uint64_t bound);
