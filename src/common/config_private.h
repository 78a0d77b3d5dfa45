/* What the files of the configuration share. */
#pragma once

#include "common/config.h"

/* Whether the knob takes this text. *value is then its number; of a choice its place, of a boolean 0 or 1,
 * of a string its length. */
bool config_parse_value(const struct config_knob *knob, const char *text, int64_t *value) MUST_CHECK;

/* Ends a line about a bad value with its start, and nothing that would break the line. */
void config_append_bad(struct buf *errors, const char *text);

/* Appends a line for each rule that the values break. */
void config_check_rules(const struct config *config, struct buf *errors);
