/* The deduplication ids of the last five minutes. */
#include "sent_ids.h"

#include "common/base/siphash.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MS = 300000, BUCKETS = SENT_IDS };

struct sent_id { /* two hashes stand for queue and id */
    uint64_t hash, check, message;
    int64_t until_ms;
    struct sent_id *older; /* with the same bucket */
};

struct sent_ids {
    size_t oldest, count; /* of the ring */
    struct sent_id *bucket[BUCKETS];
    struct sent_id ring[SENT_IDS];
};

struct sent_ids *sent_ids_open(void) {
    return calloc(1, sizeof(struct sent_ids)); /* the kernel gives the pages when they are used */
}

void sent_ids_close(struct sent_ids *ids) {
    free(ids);
}

/* The oldest one is the last of its bucket. */
static void forget_oldest(struct sent_ids *ids) {
    struct sent_id *oldest = &ids->ring[ids->oldest];
    struct sent_id **link = &ids->bucket[oldest->hash % BUCKETS];
    while (*link != oldest)
        link = &(*link)->older;
    *link = NULL;
    ids->oldest = (ids->oldest + 1) % SENT_IDS;
    ids->count--;
}

static uint64_t hash_with(uint8_t first, uint64_t queue, const char *id) {
    uint8_t secret[SIPHASH_SECRET_SIZE] = {first};
    memcpy(&secret[1], &queue, sizeof queue);
    return siphash(secret, id, strlen(id));
}

uint64_t sent_ids_note(struct sent_ids *ids, uint64_t queue, const char *id, uint64_t message,
                       int64_t now_ms) {
    struct sent_id new = {.hash = hash_with(0, queue, id),
                          .check = hash_with(1, queue, id),
                          .message = message,
                          .until_ms = now_ms + KEPT_MS};
    while (ids->count && ids->ring[ids->oldest].until_ms <= now_ms)
        forget_oldest(ids);
    struct sent_id **bucket = &ids->bucket[new.hash % BUCKETS];
    for (const struct sent_id *known = *bucket; known; known = known->older)
        if (known->hash == new.hash && known->check == new.check)
            return known->message;
    if (ids->count == SENT_IDS)
        return 0;
    struct sent_id *slot = &ids->ring[(ids->oldest + ids->count++) % SENT_IDS];
    new.older = *bucket;
    *slot = new;
    *bucket = slot;
    return message;
}
