/* What the files of the configuration share. */
#pragma once

#include "common/config/config.h"

/* Whether the knob takes this text. *value is then its number; of a choice its place, of a boolean 0 or 1,
 * of a string its length. */
bool config_parse_value(const struct config_knob *knob, const char *text, int64_t *value) MUST_CHECK;

#define CONFIG_SECRET_SIZE 4096 /* a secret's file is smaller */

/* The text of a secret, borrowed or in text: what the environment says, or what is in the file that it names
 * under the knob's name and _FILE. NULL when neither is set. A file that cannot be used is told. */
const char *config_find_secret(const struct config_knob *knob, const char *(*lookup)(const char *name),
                               char text[static CONFIG_SECRET_SIZE], struct buf *errors);

/* Ends a line about a bad value with its start, and nothing that would break the line. */
void config_append_bad(struct buf *errors, const char *text);

/* Appends a line for each rule that the values break. */
void config_check_rules(const struct config *config, struct buf *errors);
