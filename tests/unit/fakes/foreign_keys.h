/* The keys that accept the tokens of foreign_token.h, for a whole group of tests. Include in one file of a test. */
#pragma once

#include "foreign_token.h"

static struct token_keys *foreign_keys;

static inline int foreign_keys_make(void **state) {
    (void)state;
    foreign_keys = token_keys_new(&foreign_options);
    return foreign_keys ? 0 : -1;
}

static inline int foreign_keys_free(void **state) {
    (void)state;
    token_keys_free(foreign_keys);
    return 0;
}

static inline enum token_status foreign_verify(const char *token) {
    return foreign_status(foreign_keys, token);
}
