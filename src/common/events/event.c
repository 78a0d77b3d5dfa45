/* Reading what all events have in common. */
#include "common/events/event.h"

#include "common/base/json.h"
#include "common/queue/queue.h"

#include <stdio.h>
#include <string.h>

json_t *event_parse(const char *body, size_t len, const char *type, const char *id_name, struct uuid *id,
                    char *reason, size_t reason_size) {
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
    const char *event_type = json_member_string(event, "eventType");
    const char *id_text = id_name ? json_member_string(event, id_name) : NULL;
    const json_t *version = json_object_get(event, "version");
    if (!event_type || strcmp(event_type, type) != 0)
        snprintf(reason, reason_size, "eventType is not %s", type);
    else if (version && json_integer_value(version) != 1)
        snprintf(reason, reason_size, "version is not 1");
    else if (id_name && (!id_text || !uuid_parse(id_text, id)))
        snprintf(reason, reason_size, "%s is not a UUID", id_name);
    else
        return event;
    json_decref(event);
    return NULL;
}
