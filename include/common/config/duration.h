/* Durations as settings have them: 24h, 15m, 30s, 250ms; a plain number is seconds. Pure. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a duration into milliseconds. False when it is none. */
bool config_parse_duration(const char *text, int64_t *ms) MUST_CHECK;

/* Reads up to max durations that are separated by commas. False when one is none, or when there are more. */
bool config_parse_durations(const char *text, int64_t ms[], size_t max, size_t *count) MUST_CHECK;

#define CONFIG_MAX_DURATIONS 16 /* of a setting */
