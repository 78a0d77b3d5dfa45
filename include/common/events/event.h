/* What the bodies of all queues have in common: {"eventType", ...}, and the id of what they are about. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"

#include <jansson.h>
#include <stddef.h>

/* Reads a body as an event of this type (and of version 1, which is what a body without "version" is), and
 * the UUID in its member id_name. NULL, with one line of why in reason, when it is none. The caller owns the
 * result (json_decref). */
json_t *event_parse(const char *body, size_t len, const char *type, const char *id_name, struct uuid *id,
                    char *reason, size_t reason_size) MUST_CHECK;
