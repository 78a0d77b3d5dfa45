/* Currency, reference, metadata and times of an order as JSON. */
#include "order_fields.h"

#include "common/base/currency.h"
#include "common/base/json.h"
#include "common/base/json_write.h"

#include <stdlib.h>
#include <string.h>

#define KEY_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static bool is_code(const char *text) {
    return text && strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

static void read_currency(const json_t *value, struct arena *arena, struct order *order,
                          struct http_faults *faults) {
    const char *code = json_string_value(value);
    if (!is_code(code)) {
        http_fault(faults, "", "currency", "must be a code of ISO 4217 in capital letters, such as EUR");
    } else if (currency_decimals(code) == CURRENCY_UNKNOWN) {
        http_fault(faults, "", "currency", "%s is not a currency of ISO 4217 that is in use", code);
    } else if (!currency_is_supported(code)) {
        http_fault(faults, "", "currency",
                   "%s has %d decimals; only currencies with two or none are supported", code,
                   currency_decimals(code));
    } else {
        order->currency = arena_strdup(arena, code);
        order->currency_named = true;
    }
}

static void read_reference(const json_t *value, struct arena *arena, struct order *order,
                           struct http_faults *faults) {
    const char *text = json_string_value(value);
    if (!text || !json_text_plain(text, ORDER_MAX_REFERENCE))
        http_fault(faults, "", "reference",
                   "must be a string of 1 to %d characters without control characters", ORDER_MAX_REFERENCE);
    else
        order->reference = arena_strdup(arena, text);
}

/* The number of characters of valid UTF-8. */
static size_t count_characters(const char *text) {
    size_t count = 0;
    for (; *text; text++)
        count += (*text & 0xc0) != 0x80;
    return count;
}

static bool is_metadata_key(const char *key) {
    size_t len = strlen(key);
    return len >= 1 && len <= ORDER_MAX_METADATA_KEY && strspn(key, KEY_CHARACTERS) == len;
}

static void check_pair(const char *key, const json_t *value, struct http_faults *faults) {
    const char *text = json_string_value(value);
    if (!is_metadata_key(key))
        http_fault(faults, "/metadata", key, "must have a key of 1 to %d characters of A-Z a-z 0-9 _ . -",
                   ORDER_MAX_METADATA_KEY);
    else if (!text)
        http_fault(faults, "/metadata", key, "must be a string");
    else if (count_characters(text) > ORDER_MAX_METADATA_VALUE)
        http_fault(faults, "/metadata", key, "must have at most %d characters", ORDER_MAX_METADATA_VALUE);
}

static int compare_texts(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Writes the pairs sorted by key, so that equal metadata is the same text. */
static void write_metadata(struct buf *out, json_t *object) {
    const char *keys[ORDER_MAX_METADATA], *key;
    size_t count = 0;
    json_t *value;
    json_object_foreach(object, key, value) keys[count++] = key;
    qsort(keys, count, sizeof *keys, compare_texts);
    for (size_t i = 0; i < count; i++) {
        buf_char(out, i ? ',' : '{');
        json_append_text(out, keys[i]);
        buf_char(out, ':');
        json_append_text(out, json_member_string(object, keys[i]));
    }
    buf_char(out, '}');
}

/* Metadata without any pair is none. */
static void read_metadata(json_t *object, struct arena *arena, struct order *order,
                          struct http_faults *faults) {
    unsigned faults_before = faults->count;
    struct buf text = {0};
    const char *key;
    json_t *value;
    if (!json_is_object(object) || json_object_size(object) > ORDER_MAX_METADATA) {
        http_fault(faults, "", "metadata", "must be an object of at most %d pairs", ORDER_MAX_METADATA);
        return;
    }
    json_object_foreach(object, key, value) check_pair(key, value, faults);
    if (faults->count > faults_before || json_object_size(object) == 0)
        return;
    write_metadata(&text, object);
    arena->failed |= text.failed;
    order->metadata = text.failed ? NULL : arena_strdup(arena, text.data);
    buf_free(&text);
}

void order_fields_from_json(const json_t *body, struct arena *arena, struct order *order,
                            struct http_faults *faults) {
    json_t *currency = json_object_get(body, "currency"), *reference = json_object_get(body, "reference");
    json_t *metadata = json_object_get(body, "metadata");
    if (metadata)
        read_metadata(metadata, arena, order, faults);
    if (reference)
        read_reference(reference, arena, order, faults);
    if (currency)
        read_currency(currency, arena, order, faults);
}

static void text_json(struct buf *out, const char *name, const char *value) {
    if (!value)
        return;
    buf_str(out, name);
    json_append_text(out, value);
}

static void time_json(struct buf *out, const char *name, int64_t ms) {
    if (!ms)
        return;
    buf_str(out, name);
    json_append_time(out, ms);
}

void order_fields_json(struct buf *out, const struct order *order) {
    text_json(out, ",\"currency\":", order->currency);
    text_json(out, ",\"reference\":", order->reference);
    if (order->metadata) {
        buf_str(out, ",\"metadata\":");
        buf_str(out, order->metadata);
    }
    time_json(out, ",\"shipped_at\":", order->shipped_ms);
    time_json(out, ",\"delivered_at\":", order->delivered_ms);
}
