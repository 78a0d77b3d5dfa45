/* Random numbers from the kernel. */
#include "common/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

/* Does not use the log, which may lack resources itself. */
static _Noreturn void random_unavailable(void) {
    static const char words[] = "cannot get random bytes: exiting\n";
    (void)!write(STDERR_FILENO, words, sizeof words - 1);
    abort();
}

static void ask_kernel(unsigned char *bytes, size_t len) {
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            random_unavailable();
        bytes += got;
        len -= (size_t)got;
    }
}

/* Asks the kernel for many bytes at a time, because each request needs only a few. */
void random_bytes(void *out, size_t len) {
    static _Thread_local unsigned char stock[512];
    static _Thread_local size_t left;
    if (len > sizeof stock) {
        ask_kernel(out, len);
        return;
    }
    if (left < len) {
        ask_kernel(stock, sizeof stock);
        left = sizeof stock;
    }
    left -= len;
    memcpy(out, stock + left, len);
    explicit_bzero(stock + left, len);
}

uint64_t random_below(uint64_t bound) {
    uint64_t excess = (UINT64_MAX % bound + 1) % bound; /* 2^64 mod bound */
    uint64_t number;
    do
        random_bytes(&number, sizeof number);
    while (number > UINT64_MAX - excess);
    return number % bound;
}
