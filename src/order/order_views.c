/* Receipts and views of orders in Redis. */
#include "order_cache.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "order_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEW_KEY_SIZE (sizeof "order:view:" + UUID_TEXT_SIZE)

void order_cache_note_failure(struct cache *cache) {
    if (cache_just_failed(cache))
        log_warn(NULL, "redis is away, going on without it: %s", cache_error(cache));
}

bool order_receipt_key(const char *client_id, const char *key, uint8_t hash[static SHA256_SIZE],
                       char out[static ORDER_RECEIPT_KEY_SIZE]) {
    struct buf text = {0};
    buf_append(&text, client_id,
               strlen(client_id) + 1); /* with its NUL: the two cannot run into each other */
    buf_str(&text, key);
    bool ok = !text.failed;
    if (ok) {
        sha256(text.data, text.len, hash);
        memcpy(out, "order:create:", sizeof "order:create:");
        hex_encode(hash, SHA256_SIZE, out + sizeof "order:create:" - 1);
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

void order_cache_put_receipts(struct cache *cache, const struct order_receipt receipts[], size_t n) {
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
    if (count && !cache_put_later(cache, entries, count))
        order_cache_note_failure(cache);
    arena_free(&arena);
}

static void view_key(const struct uuid *id, char out[static VIEW_KEY_SIZE]) {
    memcpy(out, "order:view:", sizeof "order:view:");
    uuid_format(id, out + sizeof "order:view:" - 1);
}

/* "<version>\n<client id>\n<JSON>" */
static void view_value(struct buf *out, const struct order *order) {
    buf_printf(out, "%lld\n%s\n", (long long)order->version, order->client_id);
    order_view_json(out, order);
}

static bool parse_view(const char *value, size_t len, struct arena *arena, struct order_view *view) {
    char *copy = arena_memdup(arena, value, len);
    if (!copy)
        return false;
    char *client = strchr(copy, '\n');
    char *body = client ? strchr(client + 1, '\n') : NULL;
    if (!body)
        return true; /* no view of ours: as if there were none */
    *client = *body = '\0';
    *view =
        (struct order_view){strtoll(copy, NULL, 10), client + 1, body + 1, len - (size_t)(body + 1 - copy)};
    return true;
}

static void memory_key(const struct uuid *id, uint8_t key[static MEMORY_CACHE_KEY_SIZE]) {
    memset(key, 0, MEMORY_CACHE_KEY_SIZE);
    memcpy(key, id->bytes, sizeof id->bytes);
}

static void remember_view(struct memory_cache *memory, const struct uuid *id, const char *value, size_t len,
                          int64_t ttl_ms) {
    uint8_t key[MEMORY_CACHE_KEY_SIZE];
    memory_key(id, key);
    memory_cache_put(memory, key, value, len, clock_epoch_ms() + ttl_ms);
}

bool order_memory_find_view(struct memory_cache *memory, const struct uuid *id, struct arena *arena,
                            struct order_view *out) {
    uint8_t key[MEMORY_CACHE_KEY_SIZE];
    struct buf value = {0};
    memory_key(id, key);
    *out = (struct order_view){0};
    bool found = memory_cache_get(memory, key, clock_epoch_ms(), &value) &&
                 parse_view(value.data, value.len, arena, out) && out->body;
    buf_free(&value);
    return found;
}

bool order_cache_find_views(struct cache *cache, struct memory_cache *memory, const struct uuid ids[],
                            size_t n, int64_t ttl_ms, struct arena *arena, struct order_view out[]) {
    char(*names)[VIEW_KEY_SIZE] = arena_array(arena, n, sizeof *names);
    const char **keys = arena_array(arena, n, sizeof *keys);
    if (!names || !keys)
        return false;
    for (size_t i = 0; i < n; i++) {
        view_key(&ids[i], names[i]);
        keys[i] = names[i];
        out[i] = (struct order_view){0};
    }
    struct cache_values *values = cache_get(cache, keys, n);
    if (!values)
        order_cache_note_failure(cache);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        size_t len;
        const char *value = cache_value(values, i, &len);
        ok = !value || parse_view(value, len, arena, &out[i]);
        if (out[i].body)
            remember_view(memory, &ids[i], value, len, ttl_ms);
    }
    cache_values_free(values);
    return ok;
}

void order_cache_put_views(struct cache *cache, struct memory_cache *memory,
                           const struct order *const orders[], size_t n, int64_t ttl_ms) {
    struct arena arena = {0};
    struct buf text = {0};
    struct cache_entry *entries = arena_array(&arena, n, sizeof *entries);
    char(*names)[VIEW_KEY_SIZE] = arena_array(&arena, n, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; entries && names && i < n; i++) {
        if (orders[i]->status != ORDER_DELIVERED)
            continue;
        view_key(&orders[i]->id, names[i]);
        buf_clear(&text);
        view_value(&text, orders[i]);
        char *value = text.failed ? NULL : arena_memdup(&arena, text.data, text.len);
        if (!value)
            continue;
        remember_view(memory, &orders[i]->id, value, text.len, ttl_ms);
        entries[count++] = (struct cache_entry){.key = names[i],
                                                .value = value,
                                                .len = text.len,
                                                .ttl_ms = ttl_ms,
                                                .version = orders[i]->version};
    }
    buf_free(&text);
    if (count && !cache_put(cache, entries, count))
        order_cache_note_failure(cache);
    arena_free(&arena);
}
