/* Receipts in the process's memory and in Redis. */
#include "order_receipts.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "order_json.h"

#include <string.h>

bool order_receipt_locate(struct order_receipt_place *place, struct db_identity *identity,
                          const char *client_id, const char *key) {
    struct buf text = {0};
    *place = (struct order_receipt_place){0};
    place->known = db_identity_get(identity, place->database);
    buf_append(&text, place->database, sizeof place->database);
    buf_append(&text, client_id,
               strlen(client_id) + 1); /* with its NUL: the two cannot run into each other */
    buf_str(&text, key);
    bool ok = !text.failed;
    if (ok) {
        sha256(text.data, text.len, place->hash);
        memcpy(place->cache_key, "order:create:", sizeof "order:create:");
        hex_encode(place->hash, SHA256_SIZE, place->cache_key + sizeof "order:create:" - 1);
    }
    buf_free(&text);
    return ok;
}

bool order_receipt_parse(const char *value, size_t len, uint8_t fingerprint[static SHA256_SIZE],
                         const char **body, size_t *body_len) {
    static const char start[] = ORDER_RECEIPT_START;
    if (len < SHA256_SIZE + sizeof start - 1 + UUID_TEXT_SIZE - 1 ||
        memcmp(value + SHA256_SIZE, start, sizeof start - 1) != 0)
        return false;
    memcpy(fingerprint, value, SHA256_SIZE);
    *body = value + SHA256_SIZE;
    *body_len = len - SHA256_SIZE;
    return true;
}

void order_receipts_put(struct cache *cache, const struct order_receipt receipts[], size_t n) {
    struct arena arena = {0};
    struct cache_entry *entries = arena_array(&arena, n, sizeof *entries);
    size_t count = 0;
    int64_t now = clock_epoch_ms();
    for (size_t i = 0; entries && i < n; i++) {
        const struct order_receipt *r = &receipts[i];
        char *value = arena_alloc(&arena, SHA256_SIZE + r->len);
        if (!value || r->expires_ms <= now)
            continue;
        memcpy(value, r->fingerprint, SHA256_SIZE);
        memcpy(value + SHA256_SIZE, r->body, r->len);
        entries[count++] = (struct cache_entry){
            .key = r->cache_key, .value = value, .len = SHA256_SIZE + r->len, .ttl_ms = r->expires_ms - now};
    }
    if (count)
        (void)cache_put_later(cache, entries, count);
    arena_free(&arena);
}

void order_receipt_id(const char *body, char id[static UUID_TEXT_SIZE]) {
    memcpy(id, body + sizeof ORDER_RECEIPT_START - 1, UUID_TEXT_SIZE - 1);
    id[UUID_TEXT_SIZE - 1] = '\0';
}

/* In memory, a receipt follows the hash of the request's body. */
bool order_receipt_recall(struct memory_cache *memory, const struct order_receipt_place *place,
                          const uint8_t body_hash[static SHA256_SIZE],
                          char value[static MEMORY_CACHE_VALUE_MAX], const char **body, size_t *len) {
    if (!place->known || !memory_cache_get(memory, place->hash, clock_epoch_ms(), value, len) ||
        *len < SHA256_SIZE || memcmp(value, body_hash, SHA256_SIZE) != 0)
        return false;
    *body = value + SHA256_SIZE;
    *len -= SHA256_SIZE;
    return true;
}

void order_receipt_remember(struct memory_cache *memory, const struct order_receipt_place *place,
                            const uint8_t body_hash[static SHA256_SIZE], const char *body, size_t len,
                            int64_t life_ms) {
    struct uuid id;
    char text[UUID_TEXT_SIZE], value[MEMORY_CACHE_VALUE_MAX];
    order_receipt_id(body, text);
    if (!place->known || len > sizeof value - SHA256_SIZE || !uuid_parse(text, &id))
        return;
    memcpy(value, body_hash, SHA256_SIZE);
    memcpy(value + SHA256_SIZE, body, len);
    memory_cache_put(memory, place->hash, value, SHA256_SIZE + len, uuid_time_ms(&id) + life_ms);
}
