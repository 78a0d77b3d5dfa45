/* Values of knobs as text: private to config.c. */
#pragma once

#include "common/config.h"

/* Whether the knob takes this text. *value is then its number; of a choice its place, of a boolean 0 or 1,
 * of a string its length. */
bool config_parse_value(const struct config_knob *knob, const char *text, int64_t *value) MUST_CHECK;
