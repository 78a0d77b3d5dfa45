/* The revoked tokens of a test: what is said of every token, and what was made known. Include in one file of a test. */
#pragma once

#include "common/auth/revocations.h"

enum { FAKE_REVOCATIONS = 16 };

static enum token_status verdict = TOKEN_OK;
static bool crowded, full;
static struct revocation known[FAKE_REVOCATIONS];
static size_t known_count;
static struct client_revocation ended[FAKE_REVOCATIONS];
static size_t ended_count;

enum token_status revocations_check(struct revocations *revocations, const struct token_claims *claims) {
    (void)revocations, (void)claims;
    return verdict;
}

bool revocations_crowded(struct revocations *revocations, const char *client_id, int64_t *keep) {
    (void)revocations, (void)client_id;
    *keep = full ? 0 : REVOCATIONS_SHARE / 2;
    return full || crowded;
}

void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n) {
    (void)revocations;
    for (size_t i = 0; i < n && known_count < FAKE_REVOCATIONS; i++)
        known[known_count++] = list[i];
}

void revocations_end(struct revocations *revocations, const struct client_revocation list[], size_t n) {
    (void)revocations;
    for (size_t i = 0; i < n && ended_count < FAKE_REVOCATIONS; i++)
        ended[ended_count++] = list[i];
}
