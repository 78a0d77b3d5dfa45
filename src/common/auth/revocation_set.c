/* A hash set of the ids of revoked tokens. */
#include "revocation_set.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_CAPACITY = 16 };

/* The slot of the id, or the empty slot where it belongs. The end of a UUID is random, so it needs no hash. */
static struct revoked_token *revocation_set_find(const struct revocation_set *set, const struct uuid *id) {
    uint64_t end;
    memcpy(&end, id->bytes + sizeof id->bytes - sizeof end, sizeof end);
    size_t mask = set->capacity - 1;
    for (size_t i = (size_t)(end >> 32);; i++) {
        struct revoked_token *slot = &set->slots[i & mask];
        if (slot->expires_at == 0 || uuid_compare(&slot->id, id) == 0)
            return slot;
    }
}

bool revocation_set_has(const struct revocation_set *set, const struct uuid *token_id) {
    return set->count > 0 && revocation_set_find(set, token_id)->expires_at != 0;
}

static bool revocation_set_keeps(const struct revoked_token *token, int64_t now_s, int64_t before_ms) {
    bool ended = token->issued_ms != REVOCATION_NO_TIME && token->issued_ms < before_ms;
    return token->expires_at > now_s && !ended;
}

/* Copies the entries that are kept into a table with room for more. */
static bool rebuild(struct revocation_set *set, int64_t now_s, int64_t before_ms) {
    struct revocation_set fresh = {.capacity = MIN_CAPACITY};
    size_t live = 0;
    for (size_t i = 0; i < set->capacity; i++)
        live += revocation_set_keeps(&set->slots[i], now_s, before_ms);
    while (fresh.capacity < 2 * (live + 1))
        fresh.capacity *= 2;
    fresh.slots = calloc(fresh.capacity, sizeof *fresh.slots);
    if (!fresh.slots)
        return false;
    for (size_t i = 0; i < set->capacity; i++)
        if (revocation_set_keeps(&set->slots[i], now_s, before_ms))
            *revocation_set_find(&fresh, &set->slots[i].id) = set->slots[i];
    fresh.count = live;
    free(set->slots);
    *set = fresh;
    return true;
}

bool revocation_set_add(struct revocation_set *set, const struct revoked_token *token, int64_t now_s) {
    if (token->expires_at <= now_s || revocation_set_has(set, &token->id))
        return true;
    if (2 * (set->count + 1) > set->capacity && !rebuild(set, now_s, INT64_MIN))
        return false;
    *revocation_set_find(set, &token->id) = *token;
    set->count++;
    return true;
}

void revocation_set_tidy(struct revocation_set *set, int64_t now_s, int64_t before_ms) {
    if (set->count > 0)
        (void)rebuild(set, now_s, before_ms);
}

void revocation_set_free(struct revocation_set *set) {
    free(set->slots);
    *set = (struct revocation_set){0};
}
