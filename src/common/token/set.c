/* The keys of one moment: made, freed, and what was verified with them. */
#include "private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 4096 }; /* verified tokens, of less than 1 KiB each */

static_assert(sizeof(struct token_claims) <= MEMORY_CACHE_VALUE_MAX, "claims fit into the cache");
static_assert(SHA256_SIZE == MEMORY_CACHE_KEY_SIZE, "a digest is a key of the cache");

struct token_set *token_set_new(void) {
    struct token_set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->refs = 1; /* that of token_keys */
    set->verified = memory_cache_new(REMEMBERED);
    if (set->verified)
        return set;
    token_set_free(set);
    return NULL;
}

void token_set_free(struct token_set *set) {
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        token_key_done(&set->keys[i]);
    memory_cache_free(set->verified);
    free(set);
}

static const char *token_set_signs_with(const struct token_set *set) {
    return set->signing ? set->signing->kid : "";
}

bool token_set_same(const struct token_set *a, const struct token_set *b) {
    bool same = a->count == b->count && strcmp(token_set_signs_with(a), token_set_signs_with(b)) == 0;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->keys[i].kid, b->keys[i].kid) == 0;
    return same;
}

bool token_set_recall(const struct token_set *set, const uint8_t digest[static SHA256_SIZE],
                      struct token_claims *claims) {
    char value[MEMORY_CACHE_VALUE_MAX];
    size_t len;
    if (!memory_cache_get(set->verified, digest, 0, value, &len))
        return false;
    memcpy(claims, value, sizeof *claims);
    return true;
}

void token_set_remember(const struct token_set *set, const uint8_t digest[static SHA256_SIZE],
                        const struct token_claims *claims) {
    memory_cache_put(set->verified, digest, claims, sizeof *claims, INT64_MAX);
}
