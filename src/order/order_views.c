/* Views of orders in Redis and in the process's memory. */
#include "order_views.h"

#include "common/base/clock.h"
#include "order_json.h"

#include <stdlib.h>
#include <string.h>

/* "order:view:<id>:<identity of the database>:3". The number is that of the members that a view has: replicas of another
 * release neither read these views nor write them. */
#define VIEW_FORMAT ":3"
#define VIEW_KEY_SIZE (sizeof "order:view:" + UUID_TEXT_SIZE + 2 * DB_IDENTITY_SIZE + sizeof VIEW_FORMAT)

static void view_key(const struct uuid *id, const uint8_t database[static DB_IDENTITY_SIZE],
                     char out[static VIEW_KEY_SIZE]) {
    char *at = out + sizeof "order:view:" - 1;
    memcpy(out, "order:view:", sizeof "order:view:");
    uuid_format(id, at);
    at += UUID_TEXT_SIZE - 1;
    *at++ = ':';
    hex_encode(database, DB_IDENTITY_SIZE, at);
    memcpy(at + 2 * DB_IDENTITY_SIZE, VIEW_FORMAT, sizeof VIEW_FORMAT);
}

/* A view is stored as "<version>\n<milliseconds of the epoch until which it is kept>\n<client id>\n<JSON>". */
static void view_value(struct buf *out, const struct order *order, int64_t until_ms) {
    buf_printf(out, "%lld\n%lld\n%s\n", (long long)order->version, (long long)until_ms, order->client_id);
    order_view_json(out, order);
}

/* Leaves view->body NULL when the value is not a view. False when out of memory. */
static bool parse_view(const char *value, size_t len, struct arena *arena, struct order_view *view) {
    char *copy = arena_memdup(arena, value, len);
    if (!copy)
        return false;
    char *until = strchr(copy, '\n');
    char *client = until ? strchr(until + 1, '\n') : NULL;
    char *body = client ? strchr(client + 1, '\n') : NULL;
    if (!body)
        return true;
    *client = *body = '\0';
    *view = (struct order_view){.version = strtoll(copy, NULL, 10),
                                .until_ms = strtoll(until + 1, NULL, 10),
                                .client_id = client + 1,
                                .body = body + 1,
                                .len = len - (size_t)(body + 1 - copy)};
    return true;
}

static void memory_key(const struct uuid *id, const uint8_t database[static DB_IDENTITY_SIZE],
                       uint8_t key[static MEMORY_CACHE_KEY_SIZE]) {
    memcpy(key, id->bytes, sizeof id->bytes);
    memcpy(key + sizeof id->bytes, database, DB_IDENTITY_SIZE);
}

static void remember_view(const struct order_views *views, const struct uuid *id,
                          const uint8_t database[static DB_IDENTITY_SIZE], const char *value, size_t len,
                          int64_t until_ms) {
    uint8_t key[MEMORY_CACHE_KEY_SIZE];
    memory_key(id, database, key);
    memory_cache_put(views->memory, key, value, len, until_ms);
}

bool order_view_recall(const struct order_views *views, const struct uuid *id, struct arena *arena,
                       struct order_view *out) {
    uint8_t key[MEMORY_CACHE_KEY_SIZE], database[DB_IDENTITY_SIZE];
    char value[MEMORY_CACHE_VALUE_MAX];
    size_t len;
    *out = (struct order_view){0};
    if (!db_identity_get(views->identity, database))
        return false;
    memory_key(id, database, key);
    return memory_cache_get(views->memory, key, clock_epoch_ms(), value, &len) &&
           parse_view(value, len, arena, out) && out->body;
}

bool order_views_find(const struct order_views *views, const struct uuid ids[], size_t n, struct arena *arena,
                      struct order_view out[]) {
    char(*names)[VIEW_KEY_SIZE] = arena_array(arena, n, sizeof *names);
    const char **keys = arena_array(arena, n, sizeof *keys);
    uint8_t database[DB_IDENTITY_SIZE];
    if (!names || !keys)
        return false;
    memset(out, 0, n * sizeof *out);
    if (!db_identity_get(views->identity, database))
        return true;
    for (size_t i = 0; i < n; i++) {
        view_key(&ids[i], database, names[i]);
        keys[i] = names[i];
    }
    struct cache_values *values = cache_get(views->cache, keys, n);
    int64_t latest_ms = clock_epoch_ms() + views->ttl_ms; /* the writer's clock may be ahead */
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        size_t len;
        const char *value = cache_value(values, i, &len);
        ok = !value || parse_view(value, len, arena, &out[i]);
        if (out[i].body)
            remember_view(views, &ids[i], database, value, len,
                          out[i].until_ms < latest_ms ? out[i].until_ms : latest_ms);
    }
    cache_values_free(values);
    return ok;
}

bool order_views_put(const struct order_views *views, const uint8_t database[static DB_IDENTITY_SIZE],
                     const struct order *const orders[], size_t n) {
    struct arena arena = {0};
    struct buf text = {0};
    struct cache_entry *entries = arena_array(&arena, n, sizeof *entries);
    char(*names)[VIEW_KEY_SIZE] = arena_array(&arena, n, sizeof *names);
    bool whole = entries && names;
    size_t count = 0;
    int64_t until_ms = clock_epoch_ms() + views->ttl_ms;
    for (size_t i = 0; entries && names && i < n; i++) {
        if (!order_status_final(orders[i]->status))
            continue;
        view_key(&orders[i]->id, database, names[count]);
        buf_clear(&text);
        view_value(&text, orders[i], until_ms);
        char *value = text.failed ? NULL : arena_memdup(&arena, text.data, text.len);
        whole &= value != NULL;
        if (!value)
            continue;
        remember_view(views, &orders[i]->id, database, value, text.len, until_ms);
        entries[count] = (struct cache_entry){.key = names[count],
                                              .value = value,
                                              .len = text.len,
                                              .ttl_ms = views->ttl_ms,
                                              .version = orders[i]->version};
        count++;
    }
    buf_free(&text);
    bool taken = count == 0 || cache_put(views->cache, entries, count);
    arena_free(&arena);
    return taken && whole;
}
