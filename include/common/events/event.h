/* What the event bodies of all queues have in common: {"eventType", ...}, and the id of what the event is about. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"

#include <jansson.h>
#include <stddef.h>

/* The types that a consumer knows. */
#define EVENT_TYPES(...)                                                                                     \
    (const char *const[]) {                                                                                  \
        __VA_ARGS__, NULL                                                                                    \
    }

/* Parses a body as an event of one of the types and of version 1, which is also the version of a body without
 * "version". Reads the UUID in its member id_name, unless that is NULL. On failure returns NULL, with one line in reason. The caller
 * owns the result (json_decref). */
json_t *event_parse(const char *body, size_t len, const char *const types[], const char *id_name,
                    struct uuid *id, char *reason, size_t reason_size) MUST_CHECK;
