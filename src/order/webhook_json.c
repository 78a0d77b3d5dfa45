/* Webhooks and their deliveries as JSON. */
#include "webhook_json.h"

#include "common/base/json.h"
#include "common/base/json_write.h"
#include "order_event.h"

#include <string.h>

/* NULL when the member is missing, null, or not good. */
static const char *read_text(const json_t *root, const char *name, size_t max, struct arena *arena,
                             struct http_faults *faults) {
    const json_t *value = json_object_get(root, name);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value))
        return NULL;
    if (!text || !json_text_plain(text, max))
        http_fault(faults, "", name, "must be a string of 1 to %zu characters without control characters",
                   max);
    else
        return arena_strdup(arena, text);
    return NULL;
}

static const char *read_url(const json_t *root, const struct callout_policy *policy, struct arena *arena,
                            struct http_faults *faults) {
    const json_t *value = json_object_get(root, "url");
    const char *url = json_string_value(value);
    const char *fault = url ? callout_url_fault(url, policy) : "be a string";
    if (fault)
        http_fault(faults, "", "url", "must %s", fault);
    return fault ? NULL : arena_strdup(arena, url);
}

/* Adds a type to the list. False when it is not known, or is there already. */
static bool add_type(struct buf *list, const char *name) {
    enum order_event_type type;
    if (!name || !order_event_type_parse(name, &type) || (list->len && webhook_wants(list->data, name)))
        return false;
    buf_printf(list, list->len ? " %s" : "%s", name);
    return true;
}

/* The types as they are stored: separated by blanks. NULL for all. */
static const char *read_event_types(const json_t *root, struct arena *arena, struct http_faults *faults) {
    json_t *list = json_object_get(root, "events"), *value;
    struct buf joined = {0};
    size_t i;
    bool good = true;
    if (!list || json_is_null(list))
        return NULL;
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > ORDER_EVENT_TYPES) {
        http_fault(faults, "", "events", "must be an array of 1 to %d types, or null for all",
                   ORDER_EVENT_TYPES);
        return NULL;
    }
    json_array_foreach(list, i, value) good = good && add_type(&joined, json_string_value(value));
    if (!good)
        http_fault(faults, "", "events", "must have known types, such as order.shipped, each once");
    const char *types = good && !joined.failed ? arena_strdup(arena, joined.data) : NULL;
    arena->failed |= joined.failed;
    buf_free(&joined);
    return types;
}

static bool read_enabled(const json_t *root, struct http_faults *faults) {
    const json_t *value = json_object_get(root, "enabled");
    if (value && !json_is_boolean(value))
        http_fault(faults, "", "enabled", "must be true or false");
    return !value || json_is_true(value);
}

bool webhook_from_json(const char *body, size_t len, bool complete, const struct callout_policy *policy,
                       struct arena *arena, struct webhook_input *input, struct http_faults *faults) {
    static const char *const known[] = {"url", "events", "description", "enabled", NULL};
    char error[JSON_ERROR_SIZE];
    json_t *root = json_parse_object(body, len, error);
    *input = (struct webhook_input){0};
    if (!root) {
        http_fault(faults, "", NULL, "%s", error);
        return false;
    }
    http_fault_unknown(faults, root, "", known);
    input->has_url = json_object_get(root, "url");
    input->has_events = json_object_get(root, "events");
    input->has_description = json_object_get(root, "description");
    input->has_enabled = json_object_get(root, "enabled");
    if (input->has_url)
        input->url = read_url(root, policy, arena, faults);
    else if (complete)
        http_fault(faults, "", "url", "is required");
    input->events = read_event_types(root, arena, faults);
    input->description = read_text(root, "description", WEBHOOK_MAX_DESCRIPTION, arena, faults);
    input->enabled = read_enabled(root, faults);
    json_decref(root);
    return faults->count == 0;
}

static void text_or_null(struct buf *out, const char *name, const char *text) {
    buf_printf(out, ",\"%s\":", name);
    if (text)
        json_append_text(out, text);
    else
        buf_str(out, "null");
}

static void time_or_null(struct buf *out, const char *name, int64_t ms) {
    buf_printf(out, ",\"%s\":", name);
    if (ms)
        json_append_time(out, ms);
    else
        buf_str(out, "null");
}

static void types_json(struct buf *out, const char *events) {
    if (!events) {
        buf_str(out, "null");
        return;
    }
    buf_str(out, "[\"");
    for (; *events; events++) {
        if (*events == ' ')
            buf_str(out, "\",\"");
        else
            buf_char(out, *events);
    }
    buf_str(out, "\"]");
}

void webhook_json(struct buf *out, const struct webhook *webhook, const char *secret) {
    buf_str(out, "{\"id\":");
    json_append_uuid(out, &webhook->id);
    text_or_null(out, "url", webhook->url);
    buf_str(out, ",\"events\":");
    types_json(out, webhook->events);
    text_or_null(out, "description", webhook->description);
    buf_str(out, webhook->enabled ? ",\"enabled\":true" : ",\"enabled\":false");
    text_or_null(out, "disabled_reason", webhook->reason);
    time_or_null(out, "old_secret_valid_until", webhook->old_secret_until_ms);
    time_or_null(out, "created_at", webhook->created_ms);
    time_or_null(out, "updated_at", webhook->updated_ms);
    if (secret)
        text_or_null(out, "secret", secret);
    buf_char(out, '}');
}

void webhook_delivery_json(struct buf *out, const struct webhook_delivery *delivery) {
    bool ping = !delivery->event_id;
    buf_str(out, "{\"id\":");
    json_append_uuid(out, &delivery->id);
    text_or_null(out, "type", delivery->type);
    text_or_null(out, "event_id", delivery->event_id);
    buf_str(out, ",\"order_id\":");
    if (ping)
        buf_str(out, "null");
    else
        json_append_uuid(out, &delivery->order_id);
    text_or_null(out, "state", delivery->delivered_ms && !delivery->next_ms ? "delivered" : "waiting");
    buf_printf(out, ",\"attempts\":%lld", (long long)delivery->attempts);
    time_or_null(out, "last_attempt_at", delivery->last_ms);
    if (delivery->last_status)
        buf_printf(out, ",\"last_status\":%lld", (long long)delivery->last_status);
    else
        buf_str(out, ",\"last_status\":null");
    text_or_null(out, "last_error", delivery->last_error);
    text_or_null(out, "last_answer", delivery->last_answer);
    time_or_null(out, "next_attempt_at", delivery->next_ms);
    time_or_null(out, "created_at", delivery->created_ms);
    time_or_null(out, "delivered_at", delivery->delivered_ms);
    buf_char(out, '}');
}

void webhook_ping_json(struct buf *out, const struct uuid *delivery_id, const struct uuid *webhook_id,
                       int64_t now_ms) {
    buf_str(out, "{\"id\":");
    json_append_uuid(out, delivery_id);
    buf_str(out, ",\"type\":\"" WEBHOOK_PING "\",\"webhook_id\":");
    json_append_uuid(out, webhook_id);
    buf_str(out, ",\"occurred_at\":");
    json_append_time(out, now_ms);
    buf_char(out, '}');
}
