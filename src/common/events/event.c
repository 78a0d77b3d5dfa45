/* Reading what all events have in common. */
#include "common/events/event.h"

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/queue/queue.h"

#include <stdio.h>
#include <string.h>

static bool is_one_of(const char *type, const char *const types[]) {
    for (; type && *types; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

static void explain_types(const char *const types[], char *reason, size_t size) {
    struct buf text = {0};
    for (size_t i = 0; types[i]; i++)
        buf_printf(&text, "%s%s", i ? " or " : "eventType is not ", types[i]);
    snprintf(reason, size, "%s", text.failed ? "eventType is unknown" : text.data);
    buf_free(&text);
}

json_t *event_parse(const char *body, size_t len, const char *const types[], const char *id_name,
                    struct uuid *id, char *reason, size_t reason_size) {
    char error[JSON_ERROR_SIZE];
    if (len > QUEUE_MAX_BODY) {
        snprintf(reason, reason_size, "larger than %d bytes", QUEUE_MAX_BODY);
        return NULL;
    }
    json_t *event = json_parse_object(body, len, error);
    if (!event) {
        snprintf(reason, reason_size, "%s", error);
        return NULL;
    }
    const char *id_text = id_name ? json_member_string(event, id_name) : NULL;
    const json_t *version = json_object_get(event, "version");
    if (!is_one_of(json_member_string(event, "eventType"), types))
        explain_types(types, reason, reason_size);
    else if (version && json_integer_value(version) != 1)
        snprintf(reason, reason_size, "version is not 1");
    else if (id_name && (!id_text || !uuid_parse(id_text, id)))
        snprintf(reason, reason_size, "%s is not a UUID", id_name);
    else
        return event;
    json_decref(event);
    return NULL;
}
