/* A set of the revoked tokens of one client, by their ids. Pure; not thread-safe. */
#pragma once

#include "common/auth/revocations.h"
#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revoked_token {
    struct uuid id;
    int64_t expires_at; /* in epoch seconds */
    int64_t issued_ms;  /* REVOCATION_NO_TIME: not known */
};

struct revocation_set {          /* zero-initialise */
    struct revoked_token *slots; /* open addressing; an empty one expires at 0 */
    size_t capacity;             /* 0 or a power of two */
    size_t count;                /* includes entries that expired since the last revocation_set_tidy */
};

bool revocation_set_has(const struct revocation_set *set, const struct uuid *token_id);

/* Adds a token, unless it has expired or is already there. False when out of memory; then the set is unchanged. */
bool revocation_set_add(struct revocation_set *set, const struct revoked_token *token,
                        int64_t now_s) MUST_CHECK;

/* Removes entries that have expired or were issued before before_ms, if there is memory for the copy. */
void revocation_set_tidy(struct revocation_set *set, int64_t now_s, int64_t before_ms);

void revocation_set_free(struct revocation_set *set);
