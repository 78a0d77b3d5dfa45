/* The revoked tokens of a test: what is said of every token, and which were made known. Include in one file of a test. */
#pragma once

#include "common/auth/revocations.h"

enum { FAKE_REVOCATIONS = 16 };

static enum token_status verdict = TOKEN_OK;
static bool full;
static struct revocation known[FAKE_REVOCATIONS];
static size_t known_count;

enum token_status revocations_check(struct revocations *revocations, const struct uuid *token_id) {
    (void)revocations, (void)token_id;
    return verdict;
}

bool revocations_full(struct revocations *revocations) {
    (void)revocations;
    return full;
}

void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n) {
    (void)revocations;
    for (size_t i = 0; i < n && known_count < FAKE_REVOCATIONS; i++)
        known[known_count++] = list[i];
}
